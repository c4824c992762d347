"""Where dbt learns to run Python models on a Spark session.

dbt-core imports every module on the path whose name begins with ``dbt_``, and looks
for `plugins` there. `dbt build --target spark` has loaded dbt-spark by then; `dbt
retry`, which learns only later what target it retries, has not. On other targets there
is nothing to do.
"""

from importlib.util import find_spec
from typing import Any

from dbt.adapters.factory import FACTORY

plugins: list[Any] = []
load_plugin = FACTORY.load_plugin


def register() -> None:
    """Have dbt use our adapter for profiles of the type spark."""
    from retail_segments.spark_adapter import register

    register()


def load_and_register(name: str) -> Any:
    """Load an adapter as dbt does, and put ours in the place of dbt-spark's."""
    credentials = load_plugin(name)
    if name == "spark":
        register()
    return credentials


# Profiles that reach Spark over a network need no PySpark, and nothing of this.
if find_spec("pyspark") is not None:
    FACTORY.load_plugin = load_and_register  # type: ignore[method-assign]
    if "spark" in FACTORY.plugins:
        register()
