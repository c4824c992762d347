#!/usr/bin/env bash
# Loads what is in the inbox, checks that the feed is alive, and builds. The build publishes
# a copy of the warehouse if every gate held. Safe to run again at any time.
#
# Ends as the commands do (docs/operations.md): 0 green, 1 a gate or a file failed,
# 2 a setting is wrong, 3 another run is at work.
set -uo pipefail

PROJECT=${PROJECT:-$(cd "$(dirname "$0")/../.." && pwd)}
INBOX=${INBOX:-$PROJECT/inbox}
LOGS=${LOGS:-$PROJECT/logs/daily}
# Readers open this copy: a DuckDB file that is being read cannot be written to.
export PUBLISHED_PATH=${PUBLISHED_PATH:-$PROJECT/warehouse/published/retail_segments.duckdb}
# A command that is given the exit code, and on its input what happened: mail, a pager.
NOTIFY=${NOTIFY:-}
WARN_DAYS=${WARN_DAYS:-2}
ERROR_DAYS=${ERROR_DAYS:-7}
export DUCKDB_PATH=${DUCKDB_PATH:-$PROJECT/warehouse/retail_segments.duckdb}
export LANDING_PATH=${LANDING_PATH:-$PROJECT/landing}
export DBT_TARGET_PATH=${DBT_TARGET_PATH:-$PROJECT/target}
export DBT_LOG_PATH=${DBT_LOG_PATH:-$PROJECT/logs}

BIN=$PROJECT/.venv/bin

# K-Means is fitted again on Sundays, and as long as no build was green; on other days SQL
# places customers by the last model.
if [ "$(date +%u)" = 7 ] || [ ! -e "$PUBLISHED_PATH" ]; then
    CLUSTER_MODEL=${CLUSTER_MODEL:-refit}
fi
CLUSTER_MODEL=${CLUSTER_MODEL:-frozen}
VARS="{cluster_model: $CLUSTER_MODEL, freshness_warn_days: $WARN_DAYS, freshness_error_days: $ERROR_DAYS}"

load() {
    local files=("$INBOX"/*)
    if [ ! -e "${files[0]}" ]; then
        echo "Nothing is in $INBOX; what has landed before is built again."
        return 0
    fi
    # Files that were loaded before add nothing, so they may stay in the inbox.
    "$BIN/retail-segments" load "${files[@]}"
}

run() {
    # What an earlier run left is not this run's result.
    rm -f "$DBT_TARGET_PATH/run_results.json" "$DBT_TARGET_PATH/sources.json"
    load || return $?
    "$BIN/dbt" --quiet source freshness --vars "$VARS" || return $?
    "$BIN/dbt" --quiet --warn-error build --exclude-resource-type unit_test --vars "$VARS"
    local code=$?
    "$BIN/retail-segments" results || true
    return "$code"
}

mkdir -p "$LOGS"
cd "$PROJECT" || exit 2
log=$LOGS/$(date +%F).log

exec 9>"$LOGS/.lock"
if ! flock --nonblock 9; then
    echo "Another run is at work; this one leaves it alone." | tee -a "$log" >&2
    exit 3
fi

echo "== $(date '+%F %T') cluster_model: $CLUSTER_MODEL" >>"$log"
# Without the lock's handle, or a process that outlives the run would hold it.
run >>"$log" 2>&1 9>&-
code=$?
# dbt has no code of its own for a warehouse that somebody else has open.
if [ "$code" = 2 ] && tail -n 60 "$log" | grep -q 'is in use by another process'; then
    code=3
fi
echo "== $(date '+%F %T') ended with $code" >>"$log"
find "$LOGS" -name '*.log' -mtime +30 -delete

if [ "$code" != 0 ]; then
    tail -n 60 "$log" >&2
    if [ -n "$NOTIFY" ]; then
        tail -n 60 "$log" | "$NOTIFY" "$code"
    fi
fi
exit "$code"
