"""Removes each alarm, dead-letter queue and permission from a copy of infra/, one at a time: `terraform test` must fail.

tests/it/deployed.rs compares the permissions of functions.json with their use; tests/lab/src/aws/functions_table.rs tests the rest
of that file.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

INFRA = pathlib.Path(__file__).resolve().parent.parent

# Resources whose loss causes a silent failure or breaks a function, and the test file of each.
GUARDS = {
    "aws_cloudwatch_metric_alarm": "alarms",
    "aws_iam_role_policy": "permissions",
    "aws_lambda_function_event_invoke_config": "functions",
    "aws_lambda_permission": "permissions",
    "aws_s3_bucket_lifecycle_configuration": "permissions",
    "aws_s3_bucket_policy": "permissions",
    "aws_s3_bucket_public_access_block": "permissions",
    "aws_s3_bucket_server_side_encryption_configuration": "permissions",
    "aws_sns_topic_policy": "permissions",
    "aws_sns_topic_subscription": "alarms",
    "aws_sqs_queue": "functions",
    "aws_sqs_queue_policy": "permissions",
}
# Blocks that configure where failed messages go.
DEAD_LETTER_BLOCKS = ("dead_letter_config", "destination_config")

# Terraform's errors for a noticed removal: a failed test, or a reference to the removed resource.
NOTICED = ("Test assertion failed", "Reference to undeclared resource", "Invalid index", "Unsupported attribute")


def blocks(text):
    """Yields the resources of a file: type, name, start and end."""
    for found in re.finditer(r'^resource "(\w+)" "(\w+)" \{\n(?:.*\n)*?\}\n', text, re.MULTILINE):
        yield found[1], found[2], found.start(), found.end()


def without(text, start, end, put=""):
    return text[:start] + put + text[end:]


def one_instance_less(block):
    """The resource without one of its instances; None if it has only one."""
    each = re.search(r"^  for_each = (.*)$", block, re.MULTILINE)
    if each:
        of = each[1]
        is_set = of.startswith("toset(") or of in ("var.alarm_emails", "local.alarm_topics")
        less = (
            f"toset([for key in {of} : key if key != sort({of})[0]])"
            if is_set
            else f"{{ for key, value in {of} : key => value if key != sort(keys({of}))[0] }}"
        )
        return without(block, each.start(1), each.end(1), less)
    count = re.search(r"^  count = (.*)$", block, re.MULTILINE)
    return without(block, count.start(1), count.end(1), "0") if count else None


def removals(path, text):
    """Yields each removal from a file: its name, its test file, and the remaining text."""
    for kind, name, start, end in blocks(text):
        if kind in GUARDS:
            less = one_instance_less(text[start:end])
            tests = "notices" if kind == "aws_sns_topic_subscription" and name in ("notice_emails", "owner_emails", "queues", "functions") else GUARDS[kind]
            yield f"{'an instance of ' if less else ''}{kind}.{name}", tests, without(text, start, end, less or "")
        block = text[start:end]
        for inner in DEAD_LETTER_BLOCKS:
            for found in re.finditer(rf'^( +)(?:dynamic ")?{inner}"? \{{\n(?:.*\n)*?\1\}}\n', block, re.MULTILINE):
                yield f"{inner} of {kind}.{name}", "functions", without(text, start + found.start(), start + found.end())
        for found in re.finditer(r"^  redrive_policy\s+= (?:.*\{\n(?:.*\n)*?  \}.*|.*)\n", block, re.MULTILINE):
            tests = {"work": "functions", "queues": "notices", "functions": "notices", "pagerduty": "alarms"}[name]
            yield f"redrive_policy of {kind}.{name}", tests, without(text, start + found.start(), start + found.end())
    # Statements of policies are objects with an Sid, on separate lines.
    for found in re.finditer(r"^( +)\{\n(?:\1 .*\n)*?\1\},?\n", text, re.MULTILINE):
        sid = re.search(r'^ +Sid +?= "(\w+)"', found[0], re.MULTILINE)
        less = without(text, found.start(), found.end())
        if sid and re.search(r" Statement = \[\n *\]", less):
            # A policy needs a statement, so its only one is changed to Deny.
            less = without(text, found.start(), found.end(), found[0].replace('"Allow"', '"Deny"'))
        if sid:
            yield f"statement {sid[1]} of {path}", "permissions", less
    failed = re.search(r"^  failure_queues = \{\n((?:    .*\n)*)", text, re.MULTILINE)
    for found in re.finditer(r"^ +(\w+) += .*\n", failed[1] if failed else "", re.MULTILINE):
        start = failed.start(1)
        yield f"the queue for failed {found[1]}", "functions", without(text, start + found.start(), start + found.end())


def all_removals():
    for path in sorted([*INFRA.glob("*.tf"), *INFRA.glob("modules/*/*.tf")]):
        path = path.relative_to(INFRA)
        for what, tests, text in removals(path, (INFRA / path).read_text()):
            yield what, path, tests, text
    # Without a channel its secret and its permission are missing; the tests expect both channels.
    pipeline = (INFRA / "pipeline.toml").read_text()
    for channel in ("pagerduty", "chat"):
        commented = re.sub(rf"^{channel} = ", f"# {channel} = ", pipeline, flags=re.MULTILINE)
        yield f"the channel {channel} of pipeline.toml", pathlib.Path("pipeline.toml"), "functions", commented


class Copy:
    """A copy of infra/ in which files are changed and restored."""

    def __init__(self, folder, terraform, zips):
        self.folder, self.terraform = pathlib.Path(folder), terraform
        self.environment = {**os.environ, "TF_VAR_zips": str(zips)}
        ignore = shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfvars", "databricks", "runbook", "warehouse")
        shutil.copytree(INFRA, self.folder, ignore=ignore)
        # Providers are large, so those of an initialized infra/ are reused.
        if (INFRA / ".terraform").exists():
            self.environment["TF_DATA_DIR"] = str(INFRA / ".terraform")
        else:
            self.run("init", "-backend=false", "-input=false", "-no-color", check=True)

    def run(self, *arguments, check=False):
        return subprocess.run(
            [self.terraform, f"-chdir={self.folder}", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=check, env=self.environment,
        )

    def test(self, name):
        return self.run("test", "-no-color", f"-filter=tests/{name}.tftest.hcl")

    def test_without(self, path, name, text):
        (self.folder / path).write_text(text)
        try:
            return self.test(name)
        finally:
            shutil.copyfile(INFRA / path, self.folder / path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--terraform", default="terraform")
    parser.add_argument("--zips", required=True, type=pathlib.Path, help="a folder with <function>/bootstrap.zip")
    parser.add_argument("--only", default="", help="try only removals whose name contains this")
    options = parser.parse_args()
    planned = [removal for removal in all_removals() if options.only in removal[0]]

    with tempfile.TemporaryDirectory() as folder:
        count = min(os.cpu_count() or 1, 4)
        copies = [Copy(f"{folder}/{number}", options.terraform, options.zips.resolve()) for number in range(count)]
        idle = list(copies)

        def survives(removal):
            what, path, tests, text = removal
            copy = idle.pop()
            try:
                result = copy.test_without(path, tests, text)
            finally:
                idle.append(copy)
            if result.returncode == 0:
                return what
            # Any other error, such as broken syntax, is a fault of this program and proves nothing.
            if not any(reason in result.stdout for reason in NOTICED):
                return f"{what}: could not be tried:\n{result.stdout}"
            return None

        # A test that always fails would seem to notice every removal.
        for tests in sorted({tests for _, _, tests, _ in planned}):
            whole = copies[0].test(tests)
            if whole.returncode != 0:
                sys.exit(f"tests/{tests}.tftest.hcl fails with nothing removed:\n{whole.stdout}")
        with concurrent.futures.ThreadPoolExecutor(count) as workers:
            survivors = [what for what in workers.map(survives, planned) if what]
    if survivors:
        sys.exit("error: no test of infra/tests fails without:\n  " + "\n  ".join(survivors))
    print(f"{len(planned)} removals, each caught by a test")


if __name__ == "__main__":
    main()
