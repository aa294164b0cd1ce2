//! Every number of the sensor models, by noise level. The columns are clean, nominal, harsh.
//!
//! | effect | clean | nominal | harsh | source |
//! | --- | --- | --- | --- | --- |
//! | plate noise, g (1 sigma) | 0.5 | 2.0 | 4.0 | 2.5 g on a cheap load cell (vending engineering note) |
//! | plate step, g | 0.5 | 1 | 2 | 5 g steps on the same; better converters have 1 g |
//! | plate drift, g per root hour | 3 | 10 | 25 | "grams per hour" (CPS-IoT 2020 competition notes) |
//! | own frequency, Hz; damping | 5–9; 0.3–0.7 | same | 3–7; 0.12–0.4 | settling 0.2–0.8 s (assumed) |
//! | converter's low pass, s | 0.08–0.15 | 0.12–0.28 | 0.15–0.35 | averaging of 12 samples at 60 Hz is 0.2 s |
//! | cross-talk to a neighbour | 0–1 % | 1–4 % | 2–8 % | 0–10 % (assumed) |
//! | a hand presses: chance, peak g | 0.3, 15 | 0.7, 60 | 0.85, 110 | resting hand 0.5–1 N, measured on recordings |
//! | vibration: bursts a plate and hour | 0 | 3 | 20 | steps, doors, trolleys (assumed) |
//! | tags missing / dead / weak | 0 / 0 / 0 | 1.5 / 0.7 / 3 % | 3 / 1.5 / 8 % | Auburn audit: 3.5 % mean, best store 1 %, worst 23 % |
//! | fading a read, dB; a pose, dB | 1.2; 2.5 | 2.0; 3.5 | 2.8; 5 | log-normal shadowing 3–6 dB indoors (Rappaport) |
//! | reader to engine, s | 0.02–0.06 | 0.04–0.15 | 0.05–0.7 | R420 traces: bursts of 610 ms in three of them |
//! | camera to engine, s: least, mean more | 0.08, 0.01 | 0.14, 0.03 | 0.22, 0.07 | 80–400 ms with jitter (assumed) |
//! | frames lost | 0 | 0.5 % | 2 % | assumed |
//! | a whole person missed, a frame | 0.5 % | 3 % | 8 % | detectors at recall 0.92–0.99 on near people |
//! | false persons, a frame and camera | 0.0005 | 0.003 | 0.02 | 0.1–1 at low thresholds (assumed); above 0.25 far fewer |
//! | box jitter, share of its size | 0.8 % | 1.8 % | 3.5 % | 1.5–5 % (assumed) |
//! | camera pose known to, degrees | 0.05 | 0.2 | 0.45 | hand calibration on floor tiles |
//! | a hand that reaches is seen, a frame | 0.95 | 0.85 | 0.6 | nearly all, measured on recordings |
//! | a product in a hand is seen, a frame | 0.85 | 0.7 | 0.45 | two of three hands or more, measured on recordings |
//! | a product in view is missed | 4 % | 12 % | 25 % | shelf detectors: recall 0.8–0.95 (SKU-110K) |
//! | sensors' clocks off, s (1 sigma) | 0 | 0.02 | 0.3 | scene 42: 2 s; NTP on a LAN is far better |
//! | outages of a reader or camera an hour | 0 | 0 | 6 | 8–25 s long (assumed) |
//! | brings a foreign tag; something bought before | 0; 0 | 3 %; 0 | 10 %; 2 % | scenes 26, 27 |
//! | a bag lined with foil | 0 | 0 | 2 % | scene 22 |
//! | tagged cartons by the way out, a shop | 25 % | same | same | scene 29; static tags by a gate: 86 % read, as loud as sales (ALR-9900+, 90 passes); 5 dB of wall |
//! | a bag full of cans and bottles, dB | 20 | same | same | scene 21; liquid and metal at a tag: unread at a gate (assumed) |
//! | a wrapper's share of the weight | 5 % | same | same | scene 19; cans 4, bottles 5, bags 6 % (assumed) |
//! | lanes side by side, m apart | 0.35 | same | same | scene 30; posts of two gates back to back (assumed) |
//! | away in a scene, s: sensors; a power cut | 30; 20 | same | same | scenes 40, 41, 47 |
//! | a clock off in a scene, s | 2 | same | same | scene 42 |
//! | a bad link: late, twice | 20 % by 0.3 s, 10 % by 0.5 s | same | same | scene 45; TCP sends again after 0.2 s at least |
//! | right product first | 97 % | 92 % | 80 % | AIM3S, FAIM: 92–93 % with all cues |

/// How hard the sensors make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    Clean,
    Nominal,
    Harsh,
}

/// Uniform between two values.
pub(super) type Span = (f64, f64);

/// The numbers of one level.
#[derive(Debug, Clone)]
pub(super) struct Effects {
    pub plate_sigma_g: f64,
    pub plate_quantum_g: f64,
    pub drift_g_root_hour: f64,
    pub own_hz: Span,
    pub damping: Span,
    pub low_pass_s: Span,
    pub crosstalk: Span,
    pub press_chance: f64,
    pub press_peak_g: f64,
    pub bursts_per_hour: f64,
    pub untagged: f64,
    pub dead: f64,
    pub weak: f64,
    pub fading_db: f64,
    pub pose_db: f64,
    pub reader_delay_s: Span,
    /// Some readers report in bursts so far apart; zero is none.
    pub reader_burst_s: f64,
    pub frame_delay_s: Span,
    pub frames_lost: f64,
    pub person_missed: f64,
    pub false_persons: f64,
    pub box_jitter: f64,
    pub pose_error_deg: f64,
    pub hand_seen: f64,
    pub held_seen: f64,
    pub product_missed: f64,
    pub product_right: f64,
    pub clock_s: f64,
    pub outages_per_hour: f64,
    pub foreign: f64,
    pub bought_before: f64,
    pub foil: f64,
    /// Two boxes that overlap by 0.45 or more become one, with this chance a frame.
    pub merge: f64,
}

impl Effects {
    pub(super) fn of(noise: Noise) -> Self {
        let pick = |clean: f64, nominal: f64, harsh: f64| match noise {
            Noise::Clean => clean,
            Noise::Nominal => nominal,
            Noise::Harsh => harsh,
        };
        let span = |clean: Span, nominal: Span, harsh: Span| {
            (
                pick(clean.0, nominal.0, harsh.0),
                pick(clean.1, nominal.1, harsh.1),
            )
        };
        Self {
            plate_sigma_g: pick(0.5, 2.0, 4.0),
            plate_quantum_g: pick(0.5, 1.0, 2.0),
            drift_g_root_hour: pick(3.0, 10.0, 25.0),
            own_hz: span((5.0, 9.0), (5.0, 9.0), (3.0, 7.0)),
            damping: span((0.3, 0.7), (0.3, 0.7), (0.12, 0.4)),
            low_pass_s: span((0.08, 0.15), (0.12, 0.28), (0.15, 0.35)),
            crosstalk: span((0.0, 0.01), (0.01, 0.04), (0.02, 0.08)),
            press_chance: pick(0.3, 0.7, 0.85),
            press_peak_g: pick(15.0, 60.0, 110.0),
            bursts_per_hour: pick(0.0, 3.0, 20.0),
            untagged: pick(0.0, 0.015, 0.03),
            dead: pick(0.0, 0.007, 0.015),
            weak: pick(0.0, 0.03, 0.08),
            fading_db: pick(1.2, 2.0, 2.8),
            pose_db: pick(2.5, 3.5, 5.0),
            reader_delay_s: span((0.02, 0.06), (0.04, 0.15), (0.05, 0.2)),
            reader_burst_s: pick(0.0, 0.0, 0.61),
            frame_delay_s: span((0.08, 0.01), (0.14, 0.03), (0.22, 0.07)),
            frames_lost: pick(0.0, 0.005, 0.02),
            person_missed: pick(0.005, 0.03, 0.08),
            false_persons: pick(0.0005, 0.003, 0.02),
            box_jitter: pick(0.008, 0.018, 0.035),
            pose_error_deg: pick(0.05, 0.2, 0.45),
            hand_seen: pick(0.95, 0.85, 0.6),
            held_seen: pick(0.85, 0.7, 0.45),
            product_missed: pick(0.04, 0.12, 0.25),
            product_right: pick(0.97, 0.92, 0.80),
            clock_s: pick(0.0, 0.02, 0.3),
            outages_per_hour: pick(0.0, 0.0, 6.0),
            foreign: pick(0.0, 0.03, 0.10),
            bought_before: pick(0.0, 0.0, 0.02),
            foil: pick(0.0, 0.0, 0.02),
            merge: pick(0.3, 0.6, 0.8),
        }
    }
}
