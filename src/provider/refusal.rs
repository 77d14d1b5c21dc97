//! Finds errors in answers with status 200: gateways wrap the errors of others like this. One
//! reader for every envelope.
//!
//! A list with entries is a list, whatever is beside it: a warning. An empty list, `null` or no
//! list is a failure if there is a sign of failure beside it: taken for an empty list, it would
//! remove every model. Signs of failure (upper case, `_` and `-` make no difference):
//!
//! - a false `success`, `ok` or `succeeded` (one-api and its kin);
//! - a non-empty `error` or the like (OpenAI's form, used everywhere) or `errors` (Cloudflare);
//! - an `object` or `type` that is `error` (vLLM, Anthropic);
//! - a numeric `code`, `status`, … other than 0, 2xx and 20000; a `code` in words other than those
//!   of success; a `status` in words of failure. Beside a true `success`, codes do not count;
//! - the same within `base_resp` (MiniMax), `meta`, `status`, `header`, `response`,
//!   `ResponseMetadata`.
//!
//! A message alone is no sign: a bare empty list stays an empty list.

use serde_json::{Map, Value};

use super::value::integer_of_text;

/// Names of flags that are false in an error.
const FLAGS: [&str; 5] = ["success", "ok", "succeeded", "successful", "issuccess"];
/// Names of fields that are present in an error.
const ERRORS: [&str; 7] = [
    "error",
    "errors",
    "err",
    "errormessage",
    "errormsg",
    "errmsg",
    "exception",
];
/// Names of codes.
const CODES: [&str; 12] = [
    "code",
    "status",
    "statuscode",
    "httpcode",
    "httpstatus",
    "errorcode",
    "errcode",
    "errno",
    "ret",
    "retcode",
    "returncode",
    "respcode",
];
/// Names of objects with codes and messages of their own.
const CONTAINERS: [&str; 7] = [
    "baseresp",
    "meta",
    "status",
    "header",
    "response",
    "responsemetadata",
    "result",
];
/// Names of error texts for people, best first.
const WORDS: [&str; 13] = [
    "message",
    "msg",
    "errormessage",
    "errormsg",
    "errmsg",
    "statusmsg",
    "statusmessage",
    "detail",
    "details",
    "errordescription",
    "description",
    "reason",
    "title",
];
/// The values of a `code` or `status` in words that mean success.
const GOOD_WORDS: [&str; 7] = [
    "ok",
    "success",
    "succeeded",
    "successful",
    "normal",
    "none",
    "true",
];
/// The parts of a `status` in words that mean failure.
const BAD_WORDS: [&str; 14] = [
    "error",
    "fail",
    "unauthor",
    "forbid",
    "denied",
    "invalid",
    "expired",
    "exceed",
    "unavailab",
    "refus",
    "reject",
    "limit",
    "notfound",
    "exhaust",
];

/// Returns the error in an answer with these `fields` and without entries, in one line; none if it
/// is an empty list.
pub fn refusal(fields: &Map<String, Value>) -> Option<String> {
    let outer = Fields::of(fields);
    let inner: Vec<Fields> = outer.containers().collect();
    let is_fine = outer.is_fine();
    let sign = outer
        .sign(is_fine)
        .or_else(|| inner.iter().find_map(|inner| inner.sign(is_fine)))?;
    let words = std::iter::once(&outer)
        .chain(&inner)
        .find_map(Fields::words)
        .unwrap_or_else(|| format!("`{sign}` says so"));
    Some(format!("answered 200 with an error: {words}"))
}

/// Fields by their names in lower case without `_` and `-`.
struct Fields<'f>(Vec<(String, &'f str, &'f Value)>);

impl<'f> Fields<'f> {
    fn of(fields: &'f Map<String, Value>) -> Self {
        let named = |(name, value): (&'f String, &'f Value)| (plain(name), name.as_str(), value);
        Self(fields.iter().map(named).collect())
    }

    /// The fields that have one of `names`.
    fn all<'s>(&'s self, names: &'s [&str]) -> impl Iterator<Item = (&'f str, &'f Value)> + 's {
        names.iter().flat_map(move |wanted| {
            let is_wanted = move |field: &&(String, &'f str, &'f Value)| field.0 == *wanted;
            self.0
                .iter()
                .filter(is_wanted)
                .map(|(_, name, value)| (*name, *value))
        })
    }

    fn containers(&self) -> impl Iterator<Item = Fields<'f>> {
        self.all(&CONTAINERS)
            .filter_map(|(_, value)| value.as_object().map(Fields::of))
    }

    /// Whether a flag states success.
    fn is_fine(&self) -> bool {
        let mut flags = self.all(&FLAGS).chain(self.all(&["status"]));
        flags.any(|(_, value)| *value == Value::Bool(true))
    }

    /// The name of a field that is a sign of failure. Codes do not count if the answer `is_fine`.
    fn sign(&self, is_fine: bool) -> Option<&'f str> {
        let name = |(name, _): (&'f str, &'f Value)| name;
        let flag = self.all(&FLAGS).find(|(_, value)| is_false(value));
        let error = || self.all(&ERRORS).find(|(_, value)| may_be_error(value));
        let object = || {
            let mut kinds = self.all(&["object", "type"]);
            kinds.find(|(_, value)| value.as_str().is_some_and(|kind| plain(kind) == "error"))
        };
        let code = || {
            let mut codes = self.all(&CODES).filter(|_| !is_fine);
            codes.find(|(name, value)| is_failure(name, value))
        };
        flag.or_else(error).or_else(object).or_else(code).map(name)
    }

    /// The text of the error.
    fn words(&self) -> Option<String> {
        let of_error = self.all(&ERRORS).find_map(|(_, value)| words_in(value));
        of_error.or_else(|| self.all(&WORDS).find_map(|(_, value)| words_in(value)))
    }
}

/// The error text in `value`, which may be an object or a list of objects.
fn words_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.trim().is_empty()).then(|| text.trim().to_owned()),
        Value::Array(items) => items.first().and_then(words_in),
        Value::Object(fields) => {
            let fields = Fields::of(fields);
            let named = fields.all(&WORDS).find_map(|(_, value)| words_in(value));
            let code = || fields.all(&CODES).find_map(|(_, value)| value.as_str());
            let kind = || fields.all(&["type"]).find_map(|(_, value)| value.as_str());
            named.or_else(|| code().or_else(kind).map(ToOwned::to_owned))
        }
        _ => None,
    }
}

fn plain(name: &str) -> String {
    let parts = name.chars().filter(|char| char.is_alphanumeric());
    parts.flat_map(char::to_lowercase).collect()
}

fn is_false(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !flag,
        Value::String(text) => ["false", "no", "0"].contains(&plain(text).as_str()),
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    }
}

/// Whether `value` holds something that could be an error.
fn may_be_error(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => {
            let text = plain(text);
            !text.is_empty()
                && !is_false(value)
                && text != "null"
                && !GOOD_WORDS.contains(&text.as_str())
        }
        Value::Array(items) => !items.is_empty(),
        // `{"code": 0, "message": ""}` is no error.
        Value::Object(fields) => fields.values().any(may_be_error),
    }
}

fn is_failure(name: &str, value: &Value) -> bool {
    let is_status = plain(name) == "status";
    if let Some(code) = integer_of_text(value) {
        return !(code == 0 || (200..300).contains(&code) || code == 20_000);
    }
    match value {
        Value::Bool(flag) => is_status && !flag,
        Value::Number(_) => true,
        Value::String(text) => {
            let text = plain(text);
            if is_status {
                BAD_WORDS.iter().any(|word| text.contains(word))
            } else {
                !text.is_empty() && !GOOD_WORDS.contains(&text.as_str())
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn of(body: &Value) -> Option<String> {
        refusal(body.as_object().expect("an object"))
    }

    #[rstest]
    #[case(json!({"success": false, "message": "the token has expired", "data": []}), "the token has expired")]
    #[case(json!({"object": "error", "message": "not known", "code": 401, "data": null}), "not known")]
    #[case(json!({"error": {"message": "m", "type": "t"}, "data": []}), "m")]
    #[case(json!({"error": "text", "message": "other"}), "text")]
    #[case(json!({"errors": [{"code": 7, "message": "first"}], "success": false, "result": []}), "first")]
    #[case(json!({"type": "error", "error": {"type": "overloaded_error"}}), "overloaded_error")]
    #[case(json!({"code": 30_014, "msg": "bad key", "data": null}), "bad key")]
    #[case(json!({"code": "401", "detail": "d", "data": []}), "d")]
    #[case(json!({"code": "InvalidApiKey", "data": []}), "`code` says so")]
    #[case(json!({"status": "failed", "reason": "r", "data": []}), "r")]
    #[case(json!({"status": 503, "data": []}), "`status` says so")]
    #[case(json!({"status": false, "data": []}), "`status` says so")]
    #[case(json!({"base_resp": {"status_code": 1004, "status_msg": "login fail"}, "data": null}), "login fail")]
    #[case(json!({"ResponseMetadata": {"Error": {"Code": "AccessDenied", "Message": "no"}}}), "no")]
    #[case(json!({"Success": "false", "errMsg": "e", "data": []}), "e")]
    #[case(json!({"error": true, "data": []}), "`error` says so")]
    #[case(json!({"error_code": -1, "data": []}), "`error_code` says so")]
    fn says_failure(#[case] body: Value, #[case] words: &str) {
        let message = of(&body).unwrap_or_else(|| panic!("{body} is an error"));
        assert_eq!(message, format!("answered 200 with an error: {words}"));
    }

    #[rstest]
    #[case(json!({"object": "list", "data": null}))]
    #[case(json!({"data": [], "message": "", "success": true}))]
    #[case(json!({"data": [], "message": "no models yet"}))]
    #[case(json!({"code": 0, "msg": "ok", "data": []}))]
    #[case(json!({"code": 20_000, "status": true, "message": "OK", "data": []}))]
    #[case(json!({"code": 1, "success": true, "data": []}))]
    #[case(json!({"code": "success", "error": null, "errors": [], "data": []}))]
    #[case(json!({"error": {"code": 0, "message": ""}, "data": []}))]
    #[case(json!({"error": "", "error_message": false, "data": []}))]
    #[case(json!({"status": "active", "type": "list", "data": []}))]
    #[case(json!({"status": 200, "meta": {"code": 200, "total": 0}, "data": []}))]
    fn a_bare_empty_list_is_a_list(#[case] body: Value) {
        assert_eq!(of(&body), None);
    }

    /// A field that says failure, in any spelling.
    fn sign() -> impl Strategy<Value = (String, Value)> {
        let words = "[a-z ]{1,20}";
        prop_oneof![
            prop::sample::select(&["success", "Success", "ok", "is_success"][..])
                .prop_map(|name| (name.to_owned(), json!(false))),
            words.prop_map(|words| ("error".to_owned(), json!({"message": format!("x{words}")}))),
            words.prop_map(|words| (
                "errors".to_owned(),
                json!([{"message": format!("x{words}")}])
            )),
            Just(("object".to_owned(), json!("error"))),
            (
                prop::sample::select(&["code", "status", "status_code", "errcode"][..]),
                300..600_i64
            )
                .prop_map(|(name, code)| (name.to_owned(), json!(code))),
            (300..600_i64).prop_map(|code| ("code".to_owned(), json!(code.to_string()))),
        ]
    }

    proptest! {
        #[test]
        fn no_sign_is_missed_whatever_stands_beside_it(
            (name, value) in sign(),
            message in "[a-z]{3,30}",
            junk in prop::collection::btree_map("j_[a-z]{1,6}", any::<i32>(), 0..5),
            list in prop::sample::select(vec![None, Some(json!(null)), Some(json!([]))]),
        ) {
            let mut fields: Map<String, Value> = junk.into_iter().map(|(name, value)| (name, value.into())).collect();
            fields.insert(name, value);
            fields.insert("message".to_owned(), json!(message));
            if let Some(list) = list {
                fields.insert("data".to_owned(), list);
            }
            prop_assert!(refusal(&fields).is_some());
        }
    }
}
