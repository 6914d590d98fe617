//! Taking samples: warm-up, then blocks of ours and of the native counterpart in turn, until the time is used up.
//! Taking turns keeps a drift of the machine from favouring one side.

use std::time::{Duration, Instant};

use crate::failure::{Result, within};
use crate::row::Row;

/// A unit of time: its name and how many of it a second has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit(pub(crate) &'static str, pub(crate) f64);

pub(crate) const MS: Unit = Unit("ms", 1e3);
pub(crate) const US: Unit = Unit("us", 1e6);
pub(crate) const S: Unit = Unit("s", 1.0);

/// Turns of each side.
const ROUNDS: u32 = 5;
/// Samples that slow work should have.
const ENOUGH: usize = 3;
/// Most samples of a side.
const MOST: usize = 20_000;

/// How a row is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    /// A sample is divided by this: operations, or bytes, in one go.
    pub(crate) per: f64,
    /// Runs that do not count.
    pub(crate) warm_up: u32,
    /// Time for the row; a sample that has begun is finished.
    pub(crate) budget: Duration,
    /// A sample that takes longer hangs.
    pub(crate) hang: Duration,
}

impl Measure {
    /// One operation a sample, in this unit.
    pub(crate) const fn new(name: &'static str, unit: Unit) -> Self {
        let (budget, hang) = (Duration::from_secs(3), Duration::from_secs(20));
        Measure { name, unit, per: 1.0, warm_up: 3, budget, hang }
    }

    /// So many operations a sample.
    pub(crate) const fn per(self, per: f64) -> Self {
        Measure { per, ..self }
    }

    /// For work that takes long: a single warm-up, and more patience.
    pub(crate) const fn heavy(self) -> Self {
        Measure { warm_up: 1, hang: Duration::from_secs(30), ..self }
    }
}

/// The native counterpart of a sample.
pub(crate) type Native<'a> = &'a mut dyn FnMut() -> Result<Duration>;

/// Measures a row. A native side that fails is left out and noted.
pub(crate) async fn measure(
    m: Measure,
    mut ours: impl AsyncFnMut() -> Result<Duration>,
    native: Option<Native<'_>>,
) -> Result<Row> {
    let (mut native, mut note) = (native, None);
    let begin = Instant::now();
    for _ in 0..m.warm_up {
        within(m.name, m.hang, ours()).await?;
        if begin.elapsed() > m.budget {
            break;
        }
    }
    if let Some(Err(failure)) = native.as_mut().map(|native| native()) {
        note = Some(format!("no native counterpart: {failure}"));
        native = None;
    }
    let turns = if native.is_some() { ROUNDS * 2 } else { ROUNDS };
    let block = m.budget / turns;
    let figure = |took: Duration| took.as_secs_f64() * m.unit.1 / m.per;
    let (mut samples, mut natives) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        let turn = Instant::now();
        while samples.len() < MOST {
            samples.push(figure(within(m.name, m.hang, ours()).await?));
            if turn.elapsed() >= block {
                break;
            }
        }
        if let Some(native) = &mut native {
            let turn = Instant::now();
            while natives.len() < MOST {
                natives.push(figure(native()?));
                if turn.elapsed() >= block {
                    break;
                }
            }
        }
        // A median of one is none: slow work gets up to three times its time for three samples.
        let spent = begin.elapsed();
        if spent >= m.budget && (samples.len() >= ENOUGH || spent >= m.budget * 3) {
            break;
        }
    }
    let row = Row::measured(m.name, m.unit.0, &samples, &natives);
    Ok(match note {
        Some(note) => row.note(note),
        None => row,
    })
}
