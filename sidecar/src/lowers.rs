//! Layers that a client has sent, for the roots of its VMs. Each belongs to one client and goes with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentos_protocol::WireError;
use agentos_protocol::message::{LimitInfo, RootFilesystem, RootLower};
use agentos_snapshot::Snapshot;
use parking_lot::Mutex;

/// Layers of one client, those that are being read included.
pub(crate) const MOST: usize = 64;

/// A layer, or several of one image, lowest first.
type Layer = Arc<Vec<Snapshot>>;

/// What a root is made of.
#[derive(Clone)]
pub(crate) enum Lower {
    /// The base of this sidecar.
    Bundled,
    /// What a client sent.
    Sent(Layer),
}

/// The layers of a client, by id; `None` while one is being read.
#[derive(Default)]
pub(crate) struct Layers(Mutex<BTreeMap<String, Option<Layer>>>);

/// A place for a layer; given back unless it is filled.
pub(crate) struct Place {
    layers: Arc<Layers>,
    id: String,
    filled: bool,
}

impl Layers {
    /// A place for one more.
    pub(crate) fn reserve(self: &Arc<Self>, id: String) -> Result<Place, WireError> {
        let mut layers = self.0.lock();
        if layers.len() >= MOST {
            return Err(WireError::limit(LimitInfo {
                name: "snapshotLayers".into(),
                configured: MOST as u64,
                used: layers.len() as u64,
                requested: 1,
            }));
        }
        layers.insert(id.clone(), None);
        Ok(Place { layers: Arc::clone(self), id, filled: false })
    }

    /// Forgets one.
    pub(crate) fn remove(&self, id: &str) {
        self.0.lock().remove(id);
    }

    /// Forgets all: the client went.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// The layers of a root, lowest first.
    pub(crate) fn of(&self, root: &RootFilesystem) -> Result<Vec<Lower>, WireError> {
        let layers = self.0.lock();
        let mut all = Vec::new();
        for (n, lower) in root.lowers.iter().enumerate() {
            all.push(match lower {
                RootLower::Bundled => Lower::Bundled,
                RootLower::Layer { layer_id } => match layers.get(layer_id) {
                    Some(Some(layer)) => Lower::Sent(Arc::clone(layer)),
                    _ => {
                        let path = format!("rootFilesystem.lowers[{n}]");
                        return Err(WireError::invalid_config(path, format!("no layer {layer_id}")));
                    }
                },
            });
        }
        if !root.disable_default_base_layer && !root.lowers.contains(&RootLower::Bundled) {
            all.push(Lower::Bundled);
        }
        all.reverse();
        Ok(all)
    }
}

impl Place {
    /// Puts the layer there and tells its id; `None` if the client went, or dropped it, meanwhile.
    pub(crate) fn fill(mut self, layer: Vec<Snapshot>) -> Option<String> {
        *self.layers.0.lock().get_mut(&self.id)? = Some(Arc::new(layer));
        self.filled = true;
        Some(self.id.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.filled {
            self.layers.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundled(lowers: Vec<RootLower>, disabled: bool) -> Vec<bool> {
        let layers = Arc::new(Layers::default());
        let id = layers.reserve("l".into()).unwrap().fill(Vec::new());
        assert_eq!(id.as_deref(), Some("l"));
        let root = RootFilesystem { disable_default_base_layer: disabled, lowers, ..Default::default() };
        layers.of(&root).unwrap().iter().map(|lower| matches!(lower, Lower::Bundled)).collect()
    }

    #[test]
    fn the_base_is_lowest_unless_it_is_told_where() {
        let sent = || RootLower::Layer { layer_id: "l".into() };
        assert_eq!(bundled(vec![], false), [true]);
        assert_eq!(bundled(vec![sent()], false), [true, false]);
        assert_eq!(bundled(vec![sent(), RootLower::Bundled], false), [true, false]);
        assert_eq!(bundled(vec![RootLower::Bundled, sent()], false), [false, true]);
        assert_eq!(bundled(vec![RootLower::Bundled, sent()], true), [false, true]);
        assert_eq!(bundled(vec![sent()], true), [false]);
        assert!(bundled(vec![], true).is_empty());
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let layers = Arc::new(Layers::default());
        let mut places: Vec<_> = (0..MOST).map(|n| layers.reserve(n.to_string()).unwrap()).collect();
        let error = layers.reserve("one more".into()).map(|_| ()).unwrap_err();
        assert_eq!(error.details.unwrap().limit.unwrap().name, "snapshotLayers");
        drop(places.pop());
        let place = layers.reserve("again".into()).unwrap();
        layers.clear();
        assert_eq!(place.fill(Vec::new()), None, "the client went");
        drop(places);
        let id = layers.reserve("kept".into()).unwrap().fill(Vec::new()).unwrap();
        let root =
            RootFilesystem { lowers: vec![RootLower::Layer { layer_id: id.clone() }], ..Default::default() };
        assert_eq!(layers.of(&root).unwrap().len(), 2);
        layers.remove(&id);
        assert!(layers.of(&root).is_err());
    }
}
