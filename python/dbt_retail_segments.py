"""Where dbt learns to run Python models on a Spark session.

dbt-core imports every module on the path whose name begins with ``dbt_``, and wants to
find `plugins` there. On the target spark, dbt-spark is loaded by then; on others there is
nothing to do.
"""

import sys
from typing import Any

plugins: list[Any] = []

if "dbt.adapters.spark" in sys.modules:
    from retail_segments.spark_adapter import register

    register()
