//! Under what the rows of a transaction stand, beside the narrow one that has its gid.
//!
//! A gid is its initiator's, and may be anything: rows that stand under it are spread over each table. What
//! [`RowsUnder::Instance`] says of a life is that they stand under its instance, whose UUID begins with the time, so that
//! what is begun after it comes behind it: all that is written of what is new is at the end of each table, and in the index
//! of gids alone it is anywhere. The column `instance` has the key of such a life in the place of the UUID's usual text,
//! which says of every row where the others are. See docs/decisions/0032.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::CRYPT;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use tercet_wire::{Gid, Instance, RowsUnder};
use uuid::Uuid;

use super::entities::transaction;

/// What a key begins with: no gid begins so, and all begin with less.
const OF_INSTANCE: char = '~';

/// Texts are in the order of what they say.
const IN_ORDER: GeneralPurpose = GeneralPurpose::new(
    &CRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// What the rows of this life stand under.
pub(crate) fn rows_key(gid: &Gid, instance: Instance) -> Cow<'_, str> {
    match instance.rows() {
        RowsUnder::Gid => Cow::Borrowed(gid.as_str()),
        RowsUnder::Instance => Cow::Owned(column_of(instance)),
    }
}

/// What the column `instance` of this life has.
pub(crate) fn column_of(instance: Instance) -> String {
    match instance.rows() {
        RowsUnder::Gid => instance.to_string(),
        RowsUnder::Instance => {
            let mut key = String::with_capacity(23);
            key.push(OF_INSTANCE);
            IN_ORDER.encode_string(instance.uuid().as_bytes(), &mut key);
            key
        }
    }
}

/// The life that the column `instance` names.
///
/// # Errors
/// In words, if it names none.
pub(crate) fn instance_of(column: &str) -> Result<Instance, String> {
    let Some(encoded) = column.strip_prefix(OF_INSTANCE) else {
        return column.parse().map_err(|error: uuid::Error| error.to_string());
    };
    let bytes = IN_ORDER.decode(encoded).map_err(|error| error.to_string())?;
    let id = Uuid::from_slice(&bytes).map_err(|error| error.to_string())?;
    Ok(Instance::new(id).with_rows(RowsUnder::Instance))
}

impl transaction::Model {
    /// What its rows stand under.
    pub(crate) fn rows_key(&self) -> &str {
        match self.instance.starts_with(OF_INSTANCE) {
            true => &self.instance,
            false => &self.gid,
        }
    }
}

/// The table of the narrow rows, which stand under their gids.
pub(crate) const NARROW: &str = "global_transactions";

/// What the rows of a transaction stand under in this table, in SQL: of the narrow row that has this name there.
pub(crate) fn key_in(table: &str, row: &str) -> String {
    match table {
        NARROW => format!("{row}.gid"),
        _ => rows_key_of(row),
    }
}

/// The same in every other table.
pub(crate) fn rows_key_of(row: &str) -> String {
    format!("CASE WHEN {row}.instance LIKE '{OF_INSTANCE}%' THEN {row}.instance ELSE {row}.gid END")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(number: u128) -> Instance {
        Instance::new(Uuid::from_u128(0x0193_b6a0_0000_7000_8000_0000_0000_0000 + number))
    }

    #[test]
    fn a_column_says_which_life_it_is_and_where_its_rows_are() {
        let gid: Gid = "order-1".parse().expect("a gid");
        let plain = instance(7);
        assert_eq!(column_of(plain), plain.to_string());
        assert_eq!(instance_of(&column_of(plain)), Ok(plain));
        assert_eq!(rows_key(&gid, plain), "order-1");
        let by_begin = plain.with_rows(RowsUnder::Instance);
        let column = column_of(by_begin);
        assert_eq!(column.len(), 23);
        assert_eq!(instance_of(&column), Ok(by_begin));
        assert_eq!(rows_key(&gid, by_begin), column);
        assert_eq!(instance_of(&column).map(Instance::rows), Ok(RowsUnder::Instance));
        assert_eq!(instance_of(&column_of(plain)).map(Instance::rows), Ok(RowsUnder::Gid));
        // Whoever calls a participant, or shows it to people, says the same of both.
        assert_eq!(by_begin.to_string(), plain.to_string());
    }

    #[test]
    fn keys_are_in_the_order_of_begins_and_behind_every_gid() {
        let numbers = [0, 1, 63, 64, 255, 256, 1 << 40, u128::from(u64::MAX)];
        let keys = numbers.map(|number| column_of(instance(number).with_rows(RowsUnder::Instance)));
        assert!(keys.is_sorted(), "{keys:?}");
        assert!(keys.iter().all(|key| key.as_str() > "zzz"), "{keys:?}");
    }

    #[test]
    fn what_is_no_instance_is_told() {
        for damaged in ["", "~", "~.", "~!!", "0193", "~0123456789012345678901234"] {
            assert!(instance_of(damaged).is_err(), "{damaged}");
        }
    }
}
