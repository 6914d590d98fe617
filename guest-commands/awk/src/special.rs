//! The predefined variables and their slots. Those up to [`ACTING`] act when they are read or set.

/// Names by slot.
pub(crate) const NAMES: [&str; 25] = [
    "NF",
    "NR",
    "FNR",
    "FS",
    "OFS",
    "ORS",
    "RS",
    "SUBSEP",
    "CONVFMT",
    "OFMT",
    "IGNORECASE",
    "FIELDWIDTHS",
    "FPAT",
    "FILENAME",
    "RT",
    "RSTART",
    "RLENGTH",
    "ENVIRON",
    "ARGV",
    "ARGC",
    "PROCINFO",
    "ERRNO",
    "ARGIND",
    "BINMODE",
    "LINT",
];

pub(crate) const NF: u32 = 0;
pub(crate) const NR: u32 = 1;
pub(crate) const FNR: u32 = 2;
pub(crate) const FS: u32 = 3;
pub(crate) const OFS: u32 = 4;
pub(crate) const ORS: u32 = 5;
pub(crate) const RS: u32 = 6;
pub(crate) const SUBSEP: u32 = 7;
pub(crate) const CONVFMT: u32 = 8;
pub(crate) const OFMT: u32 = 9;
pub(crate) const IGNORECASE: u32 = 10;
pub(crate) const FIELDWIDTHS: u32 = 11;
pub(crate) const FPAT: u32 = 12;
/// The first that only keeps its value.
pub(crate) const ACTING: u32 = 13;
pub(crate) const FILENAME: u32 = 13;
pub(crate) const RT: u32 = 14;
pub(crate) const RSTART: u32 = 15;
pub(crate) const RLENGTH: u32 = 16;
pub(crate) const ENVIRON: u32 = 17;
pub(crate) const ARGV: u32 = 18;
pub(crate) const ARGC: u32 = 19;
pub(crate) const PROCINFO: u32 = 20;
pub(crate) const ERRNO: u32 = 21;
pub(crate) const ARGIND: u32 = 22;
