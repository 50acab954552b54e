"""Counts what ran: tally.py TESTLOG.JSON... prints "N passed, N failed, N skipped" and fails if anything did.

Programs of cmocka and of Python's unittest count by their cases, any other test as one."""
import json
import re
import sys


def cmocka(output):
    return [sum(map(int, re.findall(rf"^\[  {word} +\] (\d+) test\(s\)", output, re.M))) for word in ("PASSED", "FAILED", "SKIPPED")]


def unittest(output):
    ran = sum(map(int, re.findall(r"^Ran (\d+) tests?", output, re.M)))
    bad, skip = (sum(map(int, re.findall(rf"\b(?:{words})=(\d+)", output))) for words in ("failures|errors|unexpected successes", "skipped"))
    return [max(ran - bad - skip, 0), bad, skip] if ran else [0, 0, 0]


passed = failed = skipped = 0
for path in sys.argv[1:]:
    for line in open(path, encoding="utf-8"):
        test = json.loads(line)
        output = test.get("stdout", "") + test.get("stderr", "")
        counts = cmocka(output) if any(cmocka(output)) else unittest(output)
        good, skip = test["result"] in ("OK", "EXPECTEDFAIL"), test["result"] == "SKIP"
        if not any(counts):
            counts = [int(good), int(not good and not skip), int(skip)]
        elif not good and not counts[1]:
            counts[1] = 1  # crashed or ran out of time between two cases
        passed, failed, skipped = passed + counts[0], failed + counts[1], skipped + counts[2]
        if counts[1]:
            print(f"failed: {test['name']}")
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(failed > 0)
