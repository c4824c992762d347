"""Where dbt learns to run Python models on a Spark session.

dbt-core imports every module on the path whose name begins with ``dbt_``, and looks for
`plugins` there. On the target spark, dbt-spark is loaded by then; on others
there is nothing to do.
"""

import sys
from importlib.util import find_spec
from typing import Any

plugins: list[Any] = []

# Profiles that reach Spark over a network need no PySpark, and nothing of this.
if "dbt.adapters.spark" in sys.modules and find_spec("pyspark") is not None:
    from retail_segments.spark_adapter import register

    register()
