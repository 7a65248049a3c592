"""Runs the vendors' own clients against the lab: `python tests/clients/check.py <the program syncwatch-lab>`.

The lab replaces services that are out of reach here, so its answers are checked with the programs that the vendors publish:
Databricks' SDK, PagerDuty's client and the Airflow provider of Census. Each is used as its documentation shows, on a free port of
this machine.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile

# The sync that creates properties in the lab's pipeline.
SYNC = 3394022


@contextlib.contextmanager
def lab(program):
    """Yields the addresses and tokens of a lab that stops when the block ends."""
    process = subprocess.Popen([program, "vendors"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(timeout=30)


def equal(found, expected):
    assert found == expected, f"{found!r}, expected {expected!r}"


def databricks(at):
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors import PermissionDenied
    from databricks.sdk.service.sql import ColumnInfoTypeName, State, StatementParameterListItem, StatementState

    warehouse = at["warehouse_id"]
    client = WorkspaceClient(host=at["url"], token=at["token"], auth_type="pat")

    equal([found.id for found in client.warehouses.list()], [warehouse])
    equal(client.warehouses.get(warehouse).state, State.RUNNING)
    equal(client.warehouses.start_and_wait(warehouse).state, State.RUNNING)

    statement = "SELECT COUNT(*) AS properties, MAX(updated_at) AS newest FROM crm.rds.properties WHERE property_id <> :id"
    parameters = [StatementParameterListItem(name="id", value="none", type="STRING")]
    run = client.statement_execution.execute_statement(statement, warehouse, wait_timeout="30s", parameters=parameters)
    equal(run.status.state, StatementState.SUCCEEDED)
    columns = run.manifest.schema.columns
    equal([(column.name, column.type_name, column.type_text) for column in columns], [
        ("properties", ColumnInfoTypeName.LONG, "BIGINT"),
        ("newest", ColumnInfoTypeName.TIMESTAMP, "TIMESTAMP"),
    ])
    assert int(run.result.data_array[0][0]) > 0, run.result.data_array
    equal(client.statement_execution.get_statement(run.statement_id).status.state, StatementState.SUCCEEDED)
    client.statement_execution.cancel_execution(run.statement_id)

    failed = client.statement_execution.execute_statement("SELECT * FROM crm.rds.nosuch", warehouse)
    equal((failed.status.state, failed.status.error.error_code.value), (StatementState.FAILED, "BAD_REQUEST"))

    service = WorkspaceClient(
        host=at["url"], client_id=at["client_id"], client_secret=at["client_secret"], auth_type="oauth-m2m"
    )
    equal(service.warehouses.get(warehouse).id, warehouse)

    try:
        WorkspaceClient(host=at["url"], token="another", auth_type="pat").warehouses.get(warehouse)
    except PermissionDenied as error:
        equal(str(error).splitlines()[0].split(".")[0], "Invalid access token")
    else:
        raise AssertionError("a wrong token was accepted")


def pagerduty(at):
    from pagerduty import EventsApiV2Client

    client = EventsApiV2Client(at["routing_key"])
    # The constructor accepts only https, which the lab does not serve.
    client._url = at["url"]
    key = client.trigger("coverage is poor", "syncwatch", severity="critical", dedup_key="properties/coverage/a")
    equal(key, "properties/coverage/a")
    equal(client.acknowledge(key), key)
    equal(client.resolve(key), key)
    assert client.trigger("without a key", "syncwatch"), "no key was returned"
    client.send_change_event({"summary": "healed by itself", "source": "syncwatch"}, [{"href": "https://example.com"}])


def census(at):
    with tempfile.TemporaryDirectory() as home:
        # Airflow reads both variables when it is imported.
        os.environ["AIRFLOW_HOME"] = home
        connection = {"conn_type": "census", "host": at["url"], "password": at["token"]}
        os.environ["AIRFLOW_CONN_CENSUS_DEFAULT"] = json.dumps(connection)
        from airflow_provider_census.hooks.census import CensusHook

        works, message = CensusHook().test_connection()
        assert works, message
        hook = CensusHook()
        run = hook.trigger_sync(SYNC)
        found = CensusHook().get_sync_run_info(run)
        equal((found["id"], found["sync_id"]), (run, SYNC))
        assert found["status"] in ("queued", "working", "skipped", "completed"), found


def main():
    failures = []
    checks = [databricks, pagerduty, census]
    with lab(sys.argv[1]) as vendors:
        for check in checks:
            try:
                check(vendors[check.__name__])
            except Exception as error:
                failures.append(f"{check.__name__}: {type(error).__name__}: {error}")
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(checks) - len(failures)} passed, {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
