"""A plain Python version of functions/schedule-verification, for comparison in `make bench` only.

The comparison is meant to be fair: clients are created once, at import, as AWS advises; connections are reused; the runs of
the syncs are requested in parallel; nothing is slow on purpose.
"""

import json
import logging
import os
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import boto3
import requests
from botocore.exceptions import ClientError

log = logging.getLogger()
log.setLevel(logging.INFO)

with open(os.environ["SYNCWATCH_PIPELINE"], "rb") as file:
    PIPELINE = tomllib.load(file)

BASE_URL = os.environ.get("SYNCWATCH_CENSUS_BASE_URL", PIPELINE["census"]["base_url"])
TABLE = os.environ["SYNCWATCH_INCIDENTS_TABLE"]
TOPIC = os.environ["SYNCWATCH_TOPIC_ARN"]
PARALLEL = 16
TIMEOUT = 10

dynamodb = boto3.client("dynamodb")
secrets = boto3.client("secretsmanager")
sns = boto3.client("sns")
session = requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=PARALLEL))
session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=PARALLEL))

token = None


def handler(event, context):
    if event.get("task") == "ping":
        return {"task": "ping"}
    global token
    if token is None:
        token = secrets.get_secret_value(SecretId=os.environ["SYNCWATCH_CENSUS_SECRET"])["SecretString"]
        session.headers["Authorization"] = f"Bearer {token}"
    now = datetime.now(timezone.utc)
    vendor = {sync["id"]: sync for sync in list_syncs()}
    declared = PIPELINE["syncs"]
    with ThreadPoolExecutor(PARALLEL) as pool:
        runs = list(pool.map(lambda sync: list_runs(sync["id"]) if sync["id"] in vendor else [], declared))
    findings = [
        finding
        for sync, its_runs in zip(declared, runs)
        for finding in judge(sync, vendor.get(sync["id"]), its_runs, now)
    ]
    changed = report(findings, now)
    unhealthy = [finding for finding in findings if finding["problem"]]
    log.info("%d findings, %d unhealthy, %d notices", len(findings), len(unhealthy), changed)
    counts = {"healthy": len(findings) - len(unhealthy), "unhealthy": len(unhealthy)}
    return {"counts": counts, "unhealthy": unhealthy, "notices": changed}


def get(path, **query):
    response = session.get(f"{BASE_URL}/api/v1{path}", params=query, timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()


def list_syncs():
    page = 1
    while page:
        body = get("/syncs", page=page, per_page=100)
        yield from body["data"]
        page = body["pagination"]["next_page"]


def list_runs(sync_id):
    return get(f"/syncs/{sync_id}/sync_runs", page=1, per_page=25, order="desc")["data"]


def duration(text):
    return timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[text[-1]]: int(text[:-1])})


def instant(text):
    return datetime.fromisoformat(text) if text else None


def judge(sync, vendor, runs, now):
    def finding(check, problem):
        return {"check": check, "subject": sync["key"], "problem": problem}

    if vendor is None:
        yield finding("sync-exists", f"Census has no sync {sync['id']}")
        return
    yield finding("sync-exists", None)
    yield finding("sync-active", "the sync is paused" if vendor["paused"] else None)

    every = duration(sync["schedule"]["every"]) + duration(sync["schedule"].get("grace", "5m"))
    last_start = instant(runs[0]["created_at"]) if runs else None
    late = last_start is None or now - last_start > every
    yield finding("run-on-time", f"no run since {last_start}" if late else None)

    ended = [run for run in runs if run["status"] in ("completed", "failed")]
    if ended:
        run = ended[0]
        failed = run["status"] == "failed"
        yield finding("last-run-succeeded", run.get("error_message") or "failed" if failed else None)
        processed = run["records_processed"]
        rejected = [run.get("records_failed"), run.get("records_invalid", run.get("source_record_invalids"))]
        if processed and None not in rejected:
            rate = 100 * sum(rejected) / processed
            limit = PIPELINE["objectives"]["error_rate_percent"]
            yield finding("error-rate", f"{rate:.1f}% of records rejected" if rate > limit else None)
        if run["completed_at"]:
            took = instant(run["completed_at"]) - instant(run["created_at"])
            slow = took > duration(sync["runtime_target"])
            yield finding("runtime", f"took {took}" if slow else None)


def report(findings, now):
    pages = dynamodb.get_paginator("query").paginate(
        TableName=TABLE,
        KeyConditionExpression="pipeline = :pipeline",
        ExpressionAttributeValues={":pipeline": {"S": PIPELINE["name"]}},
        ConsistentRead=True,
    )
    stored = {item["check_subject"]["S"]: item for page in pages for item in page["Items"]}
    changed = 0
    for finding in findings:
        key = f"{finding['check']}/{finding['subject']}"
        was_open = key in stored and stored[key]["state"]["S"] == "open"
        if bool(finding["problem"]) == was_open:
            continue
        state = "open" if finding["problem"] else "resolved"
        publish(key, state, finding)
        if record(key, state, finding, now):
            changed += 1
    return changed


def publish(key, state, finding):
    text = f"{PIPELINE['name']}: {key} is {state}. {finding['problem'] or ''}"
    machine = json.dumps({"incident": key, "state": state, **finding})
    sns.publish(
        TopicArn=TOPIC,
        Subject=f"{state}: {key}"[:100],
        MessageStructure="json",
        Message=json.dumps({"default": text, "email": text, "http": machine, "https": machine, "sqs": machine}),
        MessageAttributes={
            "sync": {"DataType": "String", "StringValue": finding["subject"]},
            "check": {"DataType": "String", "StringValue": finding["check"]},
        },
    )


def record(key, state, finding, now):
    try:
        dynamodb.update_item(
            TableName=TABLE,
            Key={"pipeline": {"S": PIPELINE["name"]}, "check_subject": {"S": key}},
            UpdateExpression="SET #state = :state, problem = :problem, changed_at = :now",
            ConditionExpression="attribute_not_exists(#state) OR #state <> :state",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={
                ":state": {"S": state},
                ":problem": {"S": finding["problem"] or ""},
                ":now": {"S": now.isoformat()},
            },
        )
        return True
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
