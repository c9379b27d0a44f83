"""Whether what was printed is what its schema says, and would not be with a field more.

Reads lines of JSON: {"what": ..., "schema": ..., "printed": ...}. Ends with 0 when all hold.
"""

import json
import sys

from jsonschema import Draft202012Validator


# What is quoted from a configuration is as it stands there: no schema of ours says what is in it.
QUOTED = ("task", "training", "strategy")


def objects(value):
    """Every object in a value, but what is quoted."""
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key not in QUOTED:
                yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


def main():
    count = 0
    for line in open(sys.argv[1], encoding="utf-8"):
        case = json.loads(line)
        what, printed = case["what"], case["printed"]
        Draft202012Validator.check_schema(case["schema"])
        validator = Draft202012Validator(case["schema"])
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(printed)]
        if errors:
            sys.exit(f"{what}: {errors}")
        # A map allows any name, but no map here is of lists of lists.
        for each in list(objects(printed)):
            each["surprise"] = [[]]
            if validator.is_valid(printed):
                sys.exit(f"{what}: an unknown field is allowed beside {sorted(each)}")
            del each["surprise"]
        count += 1
    print(f"{count} outputs are as their schemas say")


main()
