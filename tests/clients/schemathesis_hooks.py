"""The requests that Schemathesis is not to make: those that are refused for a reason that no schema can name, and those that only wait."""

import schemathesis


def is_after(number, last):
    try:
        return int(str(number)) > last
    except ValueError:
        return False


@schemathesis.hook
def filter_case(_context, case):
    query = case.query if isinstance(case.query, dict) else {}

    def given(name):
        return str(query.get(name, "")).strip()

    refused = [
        # Two moments at once, or a moment and what is only known of now.
        given("at") and given("revision"),
        (given("at") or given("revision")) and (given("stale") or given("max_age")),
        # Nothing has been listed yet then. (It has few revisions, and times around now differ from run to run.)
        given("at") > "2026",
        is_after(given("revision"), 1),
        is_after(given("since"), 1),
        # Which answer to believe?
        given("accept") and not given("source"),
        # Two directions at once.
        given("after_id") and given("before_id"),
    ]
    waits = given("wait") not in ("", "1s")
    return not waits and not any(refused)
