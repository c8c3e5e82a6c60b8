"""Print the lowest version of each requirement of the installed package, extras included, for pip."""

from importlib.metadata import requires

from packaging.requirements import Requirement

for line in requires("xdk-streaming") or []:
    requirement = Requirement(line)
    (lowest,) = (specifier.version for specifier in requirement.specifier if specifier.operator == ">=")
    print(f"{requirement.name}=={lowest}")
