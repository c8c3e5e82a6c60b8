"""Settings of a type, a value or a name that there is not."""

from xdk_streaming import Backoff, BackoffPolicy, Buffer, Recovery, StreamConfig, StreamError, Transition

StreamConfig(max_retries="many")  # refused: a number
StreamConfig(max_backoff=None)  # refused: a number
StreamConfig(on_model_error="ignore")  # refused: report, yield or raise
StreamConfig(retries=3)  # refused: no such field
StreamConfig(backoff=Backoff(1.0))  # refused: a BackoffPolicy
StreamConfig(10, 1.0, 64.0, 2.0, True, None, 1024, None, None, None, None, 30.0)  # refused: by name
Buffer(overflow="x")  # refused: block, drop_oldest or fail
Buffer(2**20)  # refused: by name
Recovery(checkpoint=3)  # refused: a path
Recovery(max_minutes="five")  # refused: a number
Recovery(resume_from="yesterday")  # refused: Unix seconds
Recovery(dedupe="no")  # refused: a bool
BackoffPolicy(network=Backoff(1.0))  # refused: a ladder for each class
config = StreamConfig()
config.max_retries = "many"  # refused: a number
config.max_retrys = 3  # refused: no such field
StreamError("It went wrong.")  # refused: of what type?


def change(transition: Transition) -> None:
    transition.reason = "another"  # refused: a record is frozen
