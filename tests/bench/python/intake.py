"""A plain Python version of webhook-intake, for comparison in `make bench` only.

The comparison is meant to be fair: clients are created once, at import, as AWS advises; the connection is reused; the secret
is read once.
"""

import base64
import hashlib
import hmac
import json
import logging
import os
import tomllib
from datetime import datetime, timezone

import boto3

log = logging.getLogger()
log.setLevel(logging.INFO)

with open(os.environ["SYNCWATCH_PIPELINE"], "rb") as file:
    DECLARED = {sync["id"] for sync in tomllib.load(file)["syncs"]}

QUEUE = os.environ["SYNCWATCH_DELIVERIES_QUEUE"]
PATH = "/webhooks/census"
BODY_LIMIT = 64 * 1024

sqs = boto3.client("sqs")
secrets = boto3.client("secretsmanager")


def read_keys():
    text = secrets.get_secret_value(SecretId=os.environ["SYNCWATCH_WEBHOOK_SECRET"])["SecretString"]
    secret = json.loads(text)
    return [key.encode() for key in (secret["current"], secret.get("previous")) if key]


KEYS = read_keys()


def handler(event, context):
    status, outcome = receive(event)
    log.info("%d %s", status, outcome)
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"status": "accepted" if status == 202 else "refused"}),
    }


def receive(event):
    if event["rawPath"].removesuffix("/") != PATH:
        return 404, "unknown-path"
    if event["requestContext"]["http"]["method"] != "POST":
        return 405, "method-not-allowed"
    text = event.get("body") or ""
    body = base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    if len(body) > BODY_LIMIT:
        return 413, "too-large"
    signature = event["headers"].get("x-signature")
    if signature is None:
        return 401, "no-signature"
    right = [base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode() for key in KEYS]
    if not any([hmac.compare_digest(one, signature) for one in right]):
        return 401, "wrong-signature"
    if json.loads(body).get("sync_id") not in DECLARED:
        return 202, "unknown-sync"
    message = {
        "schema": "syncwatch.delivery/1",
        "received_at": datetime.now(timezone.utc).isoformat(),
        "body": body.decode(),
    }
    sqs.send_message(QueueUrl=QUEUE, MessageBody=json.dumps(message))
    return 202, "accepted"
