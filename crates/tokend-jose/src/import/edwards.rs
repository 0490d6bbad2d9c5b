//! Points of Ed25519. aws-lc takes any 32 bytes for a public key; here they are judged.

use curve25519_dalek::edwards::CompressedEdwardsY;

use super::problem::Problem;

/// Whether these are the octets of a public key that a private key can have: a point, canonically spelled, of the
/// prime-order subgroup. For a point of small order anybody can make signatures; two spellings would give one key two ids.
pub(super) fn check(octets: &[u8]) -> Result<(), Problem> {
    let compressed = CompressedEdwardsY(octets.try_into().map_err(|_| Problem::Length(32))?);
    let point = compressed.decompress().ok_or(Problem::PointOffCurve)?;
    if point.compress() != compressed {
        return Err(Problem::PointNotCanonical);
    }
    if point.is_small_order() {
        return Err(Problem::PointSmallOrder);
    }
    if point.is_torsion_free() { Ok(()) } else { Err(Problem::PointMixedOrder) }
}
