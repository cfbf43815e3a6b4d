//! Lists of what a client would like, and how much: `sv, en;q=0.8` (RFC 9110, section 12.4.2).

/// The members of such a list, each with its weight in thousandths. What is no weight is none: 0.
pub(super) struct Weights<'a>(std::slice::Split<'a, u8, fn(&u8) -> bool>);

impl<'a> Weights<'a> {
    pub(super) fn of(list: &'a [u8]) -> Weights<'a> {
        Weights(list.split(|byte| *byte == b','))
    }
}

impl<'a> Iterator for Weights<'a> {
    type Item = (&'a [u8], u16);

    fn next(&mut self) -> Option<Self::Item> {
        let member = self.0.next()?;
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
        Some((name, weight.map_or(1000, thousandths)))
    }
}

/// `0.8` is 800.
fn thousandths(weight: &[u8]) -> u16 {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let Some((first, rest)) = weight.split_first() else { return 0 };
    let fraction = rest.strip_prefix(b".").unwrap_or_default();
    let decimals = fraction.iter().take(3).zip([100, 10, 1]).map(|(byte, scale)| Some(digit(*byte)? * scale));
    let sum = decimals.sum::<Option<u16>>().and_then(|decimals| Some(digit(*first)? * 1000 + decimals));
    sum.map_or(0, |sum| sum.min(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_one_unless_it_is_told() {
        let list = Weights::of(b"a, b;q=0.8,c;v=1;q=0.05 ,d;q=0.1239, e;Q=1.000,f;q=9,g;q=,h;q=0.x,");
        let expected: [(&[u8], u16); 9] = [
            (b"a", 1000),
            (b"b", 800),
            (b"c", 50),
            (b"d", 123),
            (b"e", 1000),
            (b"f", 1000),
            (b"g", 0),
            (b"h", 0),
            (b"", 1000),
        ];
        assert_eq!(list.collect::<Vec<_>>(), expected);
    }
}
