//! Copies chosen fields of an entry without changing their text.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Appends `entry`, an object, with only its id and the `wanted` fields.
pub fn write_fields(
    entry: &[u8],
    wanted: &BTreeSet<String>,
    written: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    let wanted = |name: &str| name == "id" || wanted.contains(name);
    serde_json::Deserializer::from_slice(entry).deserialize_map(Fields { wanted, written })
}

/// Copies the wanted fields of an entry without changing their text.
struct Fields<'w, W> {
    wanted: W,
    written: &'w mut Vec<u8>,
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, W: Fn(&str) -> bool> Visitor<'de> for Fields<'_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entry: A) -> Result<(), A::Error> {
        let mut before = b'{';
        while let Some(Name(name)) = entry.next_key()? {
            if !(self.wanted)(&name) {
                entry.next_value::<IgnoredAny>()?;
                continue;
            }
            self.written.push(before);
            serde_json::to_writer(&mut *self.written, &name).map_err(Error::custom)?;
            self.written.push(b':');
            let value: &RawValue = entry.next_value()?;
            self.written.extend_from_slice(value.get().as_bytes());
            before = b',';
        }
        // The object is never empty: each entry has an id.
        self.written.push(b'}');
        Ok(())
    }
}
