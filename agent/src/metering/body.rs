//! PutMetricData's body in CBOR (RFC 8949), as the service's protocol (Smithy RPC v2 CBOR) has it.

use super::pack::Datum;

/// What a request has besides its data, with the longest namespace.
pub(super) const ENVELOPE_BYTES: usize = 320;

/// The body of a request.
#[must_use]
pub(super) fn put_metric_data(namespace: &str, data: &[Datum]) -> Vec<u8> {
    let bytes: usize = data.iter().map(datum_bytes).sum();
    let mut out = Vec::with_capacity(ENVELOPE_BYTES + bytes);
    head(&mut out, MAP, 2);
    text(&mut out, "Namespace");
    text(&mut out, namespace);
    text(&mut out, "MetricData");
    head(&mut out, ARRAY, data.len());
    data.iter().for_each(|it| datum(&mut out, it));
    out
}

/// How long a datum is, or a little more.
pub(super) fn datum_bytes(datum: &Datum) -> usize {
    const FIXED: usize = 120;
    const OF_DIMENSION: usize = 20;
    let dimensions = datum.dimensions.iter();
    let dimensions: usize = dimensions
        .map(|(name, value)| name.len() + value.len() + OF_DIMENSION)
        .sum();
    FIXED + datum.series.name.len() + datum.series.unit.len() + dimensions + 18 * datum.values.len()
}

const TEXT: u8 = 3 << 5;
const ARRAY: u8 = 4 << 5;
const MAP: u8 = 5 << 5;
/// Tag 1: seconds since 1970.
const EPOCH: u8 = 6 << 5 | 1;
const DOUBLE: u8 = 7 << 5 | 27;

fn datum(out: &mut Vec<u8>, datum: &Datum) {
    let single = match datum.values.as_slice() {
        [(value, 1)] => Some(*value),
        _ => None,
    };
    // 60 is the default.
    let fine = datum.resolution_s == 1;
    head(
        out,
        MAP,
        5 + usize::from(single.is_none()) + usize::from(fine),
    );
    text(out, "MetricName");
    text(out, &datum.series.name);
    text(out, "Dimensions");
    head(out, ARRAY, datum.dimensions.len());
    for (name, value) in &datum.dimensions {
        head(out, MAP, 2);
        text(out, "Name");
        text(out, name);
        text(out, "Value");
        text(out, value);
    }
    text(out, "Timestamp");
    out.push(EPOCH);
    double(out, datum.at_ms as f64 / 1_000.0);
    match single {
        Some(value) => {
            text(out, "Value");
            double(out, value);
        }
        None => {
            text(out, "Values");
            head(out, ARRAY, datum.values.len());
            datum.values.iter().for_each(|it| double(out, it.0));
            text(out, "Counts");
            head(out, ARRAY, datum.values.len());
            datum.values.iter().for_each(|it| double(out, it.1.into()));
        }
    }
    text(out, "Unit");
    text(out, &datum.series.unit);
    if fine {
        text(out, "StorageResolution");
        out.push(1);
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    head(out, TEXT, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn double(out: &mut Vec<u8>, value: f64) {
    out.push(DOUBLE);
    out.extend_from_slice(&value.to_be_bytes());
}

/// A major type and its count, as short as can be.
fn head(out: &mut Vec<u8>, major: u8, count: usize) {
    match count {
        0..24 => out.push(major | count as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, count as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(count as u16).to_be_bytes());
        }
        _ => {
            out.push(major | 26);
            out.extend_from_slice(&(count as u32).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::spool::Series;

    fn datum_of(values: Vec<(f64, u32)>, resolution_s: u32) -> Datum {
        Datum {
            series: Arc::new(Series {
                name: "cpu_usage_active".into(),
                unit: "Percent".into(),
                labels: Vec::new(),
            }),
            dimensions: vec![("InstanceId".into(), "i-0123456789abcdef0".into())],
            at_ms: 1_700_000_000_000,
            resolution_s,
            values,
            own: true,
        }
    }

    #[test]
    fn a_datum_is_no_longer_than_is_reckoned_with() {
        for count in [1, 2, 24, 150] {
            for resolution_s in [1, 60] {
                let values = (0..count).map(|n| (f64::from(n) + 0.1, 2)).collect();
                let datum = datum_of(values, resolution_s);
                let body = put_metric_data(&"n".repeat(255), std::slice::from_ref(&datum));
                assert!(body.len() <= ENVELOPE_BYTES + datum_bytes(&datum));
            }
        }
    }

    #[test]
    fn numbers_have_their_full_precision_and_texts_their_length() {
        let body = put_metric_data("CWAgent", &[datum_of(vec![(0.1, 1)], 60)]);
        assert!(body.starts_with(b"\xa2\x69Namespace\x67CWAgent\x6aMetricData\x81\xa5"));
        let value = [b"\x65Value\xfb".as_slice(), &0.1_f64.to_be_bytes()].concat();
        assert!(body.windows(value.len()).any(|window| window == value));
        let at = [
            b"\x69Timestamp\xc1\xfb".as_slice(),
            &1.7e9_f64.to_be_bytes(),
        ]
        .concat();
        assert!(body.windows(at.len()).any(|window| window == at));
    }
}
