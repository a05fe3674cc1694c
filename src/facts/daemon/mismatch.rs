//! The types of values in daemon.json against the types of dockerd's options.

use serde_json::Value;

use super::options::{Kind, Member};

/// The expected type of a value that has another one.
pub(super) fn mistyped(kind: Kind, value: &Value) -> Option<&'static str> {
    let texts = |list: &[Value]| list.iter().all(|item| item.is_string() || item.is_null());
    let good = match (kind, value) {
        (_, Value::Null)
        | (Kind::Bool, Value::Bool(_))
        | (Kind::Text | Kind::Size, Value::String(_))
        | (Kind::FlagOnly(_), _) => true,
        (Kind::Int, Value::Number(number)) => number.is_i64() || number.is_u64(),
        (Kind::Size, Value::Number(number)) => !number.is_f64(),
        (Kind::List, Value::Array(list)) => texts(list),
        (Kind::Map(member), Value::Object(map)) => map.values().all(|value| match member {
            Member::Bool => value.is_boolean() || value.is_null(),
            Member::Text => value.is_string() || value.is_null(),
            Member::Object => value.is_object() || value.is_null(),
            Member::Any => true,
        }),
        (Kind::Pools, Value::Array(list)) => list.iter().all(Value::is_object),
        _ => false,
    };
    let expected = match kind {
        Kind::Bool | Kind::FlagOnly(_) => "true or false",
        Kind::Int => "a whole number",
        Kind::Text => "a string",
        Kind::Size => "a size such as \"64m\"",
        Kind::List => "a list of strings",
        Kind::Map(Member::Bool) => "an object whose members are true or false",
        Kind::Map(Member::Text) => "an object whose members are strings",
        Kind::Map(_) => "an object",
        Kind::Pools => "a list of {\"base\": ..., \"size\": ...}",
    };
    (!good).then_some(expected)
}

/// The type of a value, since the value itself may be a secret.
pub(super) fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a broken number",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "this object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn value_of_the_right_type_or_null_is_accepted() {
        for (kind, value) in [
            (Kind::Bool, json!(true)),
            (Kind::Int, json!(-1)),
            (Kind::Size, json!("64m")),
            (Kind::Size, json!(67_108_864)),
            (Kind::List, json!(["a", null])),
            (Kind::Map(Member::Bool), json!({"a": true, "b": null})),
            (Kind::Pools, json!([{"base": "10.0.0.0/8", "size": 24}])),
            (Kind::Text, Value::Null),
        ] {
            assert_eq!(mistyped(kind, &value), None, "{value}");
        }
    }

    #[test]
    fn value_of_another_type_is_named_with_the_expected_one() {
        for (kind, value, expected) in [
            (Kind::Bool, json!("true"), "true or false"),
            (Kind::Int, json!(1.5), "a whole number"),
            (Kind::List, json!([1]), "a list of strings"),
            (Kind::Map(Member::Text), json!({"a": 1}), "an object whose members are strings"),
        ] {
            assert_eq!(mistyped(kind, &value), Some(expected), "{value}");
        }
    }
}
