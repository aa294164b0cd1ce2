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
/// A frame's detections in the pixels of the store file's camera (`basketd.Detections`).
pub fn detections(store: &Store, seen: &Detections, model: Option<&str>) -> Vec<u8> {
    let camera = &store.cameras[seen.camera.index()];
    let each = |d: &Detection| {
        let class = match d.class {
            Class::Person => "person",
            Class::Hand => "hand",
            Class::Product => "product",
        };
        let (x0, y0, x1, y1) = (d.bbox.x0, d.bbox.y0, d.bbox.x1, d.bbox.y1);
        let mut out =
            serde_json::json!({"class": class, "score": d.score, "box": [x0, y0, x1, y1]});
        if !d.gtins.is_empty() {
            let gtins = d
                .gtins
                .iter()
                .map(|(gtin, p)| (gtin.to_string(), serde_json::json!(p)));
            out["gtins"] = serde_json::Value::Object(gtins.collect());
        }
        if !d.embedding.is_empty() {
            out["embedding"] = serde_json::json!(d.embedding);
        }
        out
    };
    let all: Vec<_> = seen.detections.iter().map(each).collect();
    let mut out = serde_json::json!({
        "width": camera.width, "height": camera.height, "detections": all,
    });
    if let Some(model) = model {
        out["model"] = serde_json::json!(model);
    }
    serde_json::to_vec(&out).expect("plain values are JSON")
}
pub fn schema_text(_n: &str) -> Option<&'static str> {
    None
}
