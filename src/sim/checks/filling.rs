//! Max-min fairness by weight, as the textbook has it: pour until everybody is full or nothing is left.

/// What each gets of `capacity`: everybody's share rises in step with their weight until it reaches their demand.
pub(super) fn fill(capacity: f64, weights: &[u32], demands: &[f64]) -> Vec<f64> {
    let mut shares = vec![0.0; demands.len()];
    let mut left = capacity;
    let mut thirsty: Vec<usize> = (0..demands.len()).filter(|who| weights[*who] > 0).collect();
    while !thirsty.is_empty() {
        let weight: u32 = thirsty.iter().map(|who| weights[*who]).sum();
        let level = left / f64::from(weight);
        let (full, rest): (Vec<usize>, Vec<usize>) =
            thirsty.iter().partition(|who| demands[**who] <= level * f64::from(weights[**who]));
        if full.is_empty() {
            rest.iter().for_each(|who| shares[*who] = level * f64::from(weights[*who]));
            return shares;
        }
        for who in full {
            shares[who] = demands[who];
            left -= demands[who];
        }
        thirsty = rest;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_does_not_want_goes_to_the_others_by_weight() {
        assert_eq!(fill(10.0, &[50, 25, 25], &[9.0, 9.0, 9.0]), [5.0, 2.5, 2.5]);
        assert_eq!(fill(10.0, &[50, 25, 25], &[1.0, 9.0, 9.0]), [1.0, 4.5, 4.5]);
        assert_eq!(fill(10.0, &[2, 1, 1], &[9.0, 1.0, 9.0]), [6.0, 1.0, 3.0]);
    }

    #[test]
    fn who_never_comes_gets_nothing_and_what_nobody_wants_is_left() {
        assert_eq!(fill(10.0, &[50, 0, 1], &[9.0, 9.0, 9.0])[1], 0.0);
        assert_eq!(fill(10.0, &[50, 50], &[2.0, 3.0]), [2.0, 3.0]);
    }
}
