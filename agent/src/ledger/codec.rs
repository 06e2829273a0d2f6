//! Records as bytes: little-endian base-128 integers, strings with their length, nothing that depends on the machine.
//!
//! Reading never panics and never takes more memory than the bytes it was given: a count is believed only as far as
//! the bytes that would have to follow it are there.

mod kind;
mod read;
mod write;

pub(super) use read::Decoder;
pub(super) use write::encode;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::{Decoder, encode};
    use crate::ledger::Record;
    use crate::ledger::testing::{choices, history};

    fn bytes(records: &[Record]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for record in records {
            encode(record, &mut bytes);
        }
        bytes
    }

    proptest! {
        #[test]
        fn a_record_reads_as_it_was_written(choices in choices(60)) {
            let (mut records, states) = history(&choices);
            records.extend(states[states.len() - 1].snapshot());
            prop_assert_eq!(Decoder::default().decode_all(&bytes(&records)).unwrap(), records);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Decoder::default().decode_all(&bytes);
        }

        #[test]
        fn no_changed_byte_makes_the_decoder_panic(choices in choices(20), at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let (mut records, states) = history(&choices);
            records.extend(states[states.len() - 1].snapshot());
            let mut bytes = bytes(&records);
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = Decoder::default().decode_all(&bytes);
            let _ = Decoder::default().decode_all(&bytes[..at]);
        }

        #[test]
        fn any_number_reads_as_it_was_written(size in any::<u64>(), at_ms in any::<i64>()) {
            let records = [
                Record::Seen { generation: crate::account::GenerationId(size), size: !size },
                Record::Landed(crate::ledger::Landing {
                    batch: crate::account::BatchId(size),
                    parts: Vec::new(),
                    events: size >> 7,
                    at_ms,
                }),
            ];
            prop_assert_eq!(Decoder::default().decode_all(&bytes(&records)).unwrap(), records);
        }
    }

    /// Agents before them take the newer kinds for damage: so those are written only where there is no older one.
    #[test]
    fn a_ledger_without_anything_new_is_written_as_before() {
        use crate::account::{GenerationId, Head, Identity};
        use crate::ledger::testing::target;

        let found = |from: u64, resumed: bool| {
            let generation = GenerationId(3);
            let identity = Identity {
                device: 1,
                inode: 2,
                head: Head::default(),
            };
            let (set, path, target, at_ms) = ("/a".into(), "/a".into(), target(1), 5);
            match resumed {
                false => Record::Found {
                    generation,
                    identity,
                    set,
                    path,
                    target,
                    from,
                    at_ms,
                },
                true => Record::Continued {
                    generation,
                    identity,
                    set,
                    path,
                    target,
                    from,
                    at_ms,
                },
            }
        };
        for (record, kinds) in [
            (found(7, false), [1, 12, 14]),
            (found(7, true), [20, 12, 21]),
        ] {
            let mut state = crate::ledger::State::default();
            state.apply(&record).unwrap();
            let first = |record: &Record| bytes(std::slice::from_ref(record))[0];
            let mut written = vec![first(&record)];
            written.extend(state.snapshot().iter().map(first));
            assert_eq!(written, kinds);
        }
    }

    #[test]
    fn a_number_above_64_bits_is_none() {
        let seen = |size: &[u8]| [&[5, 0], size].concat();
        let max = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        assert!(Decoder::default().decode_all(&seen(&max)).is_ok());
        let above = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02];
        assert!(Decoder::default().decode_all(&seen(&above)).is_err());
        let longer = [
            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x81, 0x00,
        ];
        assert!(Decoder::default().decode_all(&seen(&longer)).is_err());
    }
}
