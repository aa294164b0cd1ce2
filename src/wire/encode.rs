//! stub
use crate::engine::Wakeup;
use crate::observation::*;
use crate::store::Store;
pub fn timer(w: Wakeup) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({"wakeup": w})).expect("x")
}
pub fn source(r: &SourceReport) -> Vec<u8> {
    let v = match r {
        SourceReport::State {
            source,
            state,
            reason,
        } => {
            serde_json::json!({"source":source,"state": match state {SourceState::Online=>"online",SourceState::Degraded=>"degraded",SourceState::Offline=>"offline"},"reason":reason})
        }
        SourceReport::Gap {
            source,
            lost,
            reason,
        } => serde_json::json!({"source":source,"lost":lost,"reason":reason}),
    };
    serde_json::to_vec(&v).expect("x")
}
pub fn detections(_s: &Store, _d: &Detections, _m: Option<&str>) -> Vec<u8> {
    Vec::new()
}
pub fn schema_text(_n: &str) -> Option<&'static str> {
    None
}
