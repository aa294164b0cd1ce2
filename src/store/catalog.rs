//! The catalogue and the tag list: CSV with a header, a row a product or tag. Bad rows are
//! refused with their line, all in one go.

use std::collections::BTreeMap;

use super::problem::{distance, nearest};
use super::{Currency, Place, Problem, Product};
use crate::gs1::{Epc, Gtin};

/// Above any till's total, and far from where sums overflow.
const HIGHEST_PRICE: u64 = 1_000_000_000_000;
const HEAVIEST_G: f64 = 1e6;

/// The rows of a table, cell by cell; problems gather beside.
struct Table<'t> {
    file: &'t str,
    columns: &'t [&'t str],
    /// Where each column stands in a row.
    places: Vec<Option<usize>>,
    rows: Vec<(u64, csv::StringRecord)>,
    /// Cells of the header.
    width: usize,
    /// Whether the row at hand was refused as a whole: its cells are not told of one by one.
    ragged: bool,
    problems: Vec<Problem>,
}

impl<'t> Table<'t> {
    fn new(file: &'t str, text: &str, columns: &'t [&'t str], required: usize) -> Self {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut table = Self {
            file,
            columns,
            places: Vec::new(),
            rows: Vec::new(),
            width: 0,
            ragged: false,
            problems: Vec::new(),
        };
        let header = match reader.headers() {
            Ok(header) => header.clone(),
            Err(error) => {
                table.refuse(1, error.to_string());
                return table;
            }
        };
        table.width = header.len();
        table.header(&header, required);
        for row in reader.records() {
            match row {
                Ok(row) => {
                    let line = row.position().map_or(0, csv::Position::line);
                    if row.len() != header.len() {
                        let what = format!("{} cells; the header has {}", row.len(), header.len());
                        table.refuse(line, what);
                    }
                    table.rows.push((line, row));
                }
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    table.refuse(line, "not UTF-8 text");
                }
            }
        }
        table
    }

    /// Columns of other names are left to whoever made the file, unless they look mistyped.
    fn header(&mut self, header: &csv::StringRecord, required: usize) {
        let place = |name: &&str| header.iter().position(|cell| cell == *name);
        self.places = self.columns.iter().map(place).collect();
        for (i, cell) in header.iter().enumerate() {
            let shown: String = cell.chars().take(40).collect();
            if header.iter().take(i).any(|before| before == cell) {
                self.refuse(1, format!("a second column `{shown}`"));
            }
            let near = nearest(cell, self.columns.iter().copied());
            let near = near.filter(|near| *near != cell && distance(cell, near) <= 2);
            // A short foreign name is near to everything.
            if let Some(near) = near.filter(|_| cell.chars().count() > 3) {
                self.refuse(
                    1,
                    format!("unknown column `{shown}`; did you mean `{near}`?"),
                );
            }
        }
        for (name, place) in self.columns.iter().zip(self.places.clone()).take(required) {
            if place.is_none() {
                self.refuse(1, format!("no column `{name}`"));
            }
        }
    }

    fn refuse(&mut self, line: u64, what: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.to_owned(),
            place: Place::Line(line),
            what: what.into(),
        });
    }

    /// The cell of a column, as it was listed; empty where the file has no such column.
    fn cell<'r>(&self, row: &'r csv::StringRecord, column: usize) -> &'r str {
        let place = self.places.get(column).copied().flatten();
        place.and_then(|place| row.get(place)).unwrap_or_default()
    }

    /// A cell's value; a refusal is reported with its column.
    fn parse<T>(&mut self, line: u64, column: usize, value: Result<T, String>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(_) if self.ragged => None,
            Err(what) => {
                let name = self.columns.get(column).copied().unwrap_or_default();
                self.refuse(line, format!("`{name}`: {what}"));
                None
            }
        }
    }
}

/// Reads `gtin,name,price,weight_g` and the optional columns. A currency that was refused gives
/// no number of decimals to check prices by.
pub(super) fn products(
    file: &str,
    text: &str,
    currency: Option<&Currency>,
) -> (Option<BTreeMap<Gtin, Product>>, Vec<Problem>) {
    const COLUMNS: &[&str] = &[
        "gtin", "name", "price", "weight_g", "brand", "category", "image", "reserve", "tagged",
    ];
    let mut table = Table::new(file, text, COLUMNS, 4);
    let mut products = BTreeMap::new();
    let mut lines: BTreeMap<Gtin, u64> = BTreeMap::new();
    if table.places.iter().take(4).any(Option::is_none) {
        return (None, table.problems);
    }
    for (line, row) in std::mem::take(&mut table.rows) {
        table.ragged = row.len() != table.width;
        let cells: [&str; 9] = std::array::from_fn(|i| table.cell(&row, i));
        let [
            gtin,
            name,
            price,
            weight,
            brand,
            category,
            image,
            reserve,
            tagged,
        ] = cells;
        let gtin = table.parse(line, 0, gtin.parse::<Gtin>().map_err(|e| e.to_string()));
        let name = table.parse(line, 1, parse_name(name));
        let price = table.parse(line, 2, parse_price(price, currency));
        let weight_g = table.parse(line, 3, parse_weight(weight));
        let reserve = table.parse(line, 7, parse_reserve(reserve));
        let tagged = table.parse(line, 8, parse_tagged(tagged));
        let first = gtin.and_then(|gtin| Some((gtin, lines.insert(gtin, line)?)));
        if let Some((gtin, first)) = first {
            table.refuse(
                line,
                format!("`gtin`: {gtin} stands in line {first} already"),
            );
        }
        let Some(gtin) = gtin else { continue };
        // A row that was refused still says which product there is: who refers to it is right.
        let (name, price) = (name.unwrap_or_default(), price.unwrap_or_default());
        let text = |cell: &str| Some(cell.to_owned()).filter(|cell| !cell.is_empty());
        let product = Product {
            gtin,
            name,
            price,
            weight_g: weight_g.flatten(),
            brand: text(brand),
            category: text(category),
            image: text(image),
            reserve: reserve.flatten(),
            tagged: tagged.flatten(),
        };
        products.insert(gtin, product);
    }
    (Some(products), table.problems)
}

/// Reads `epc,gtin`: what tags are on whose EPC does not tell. Without a catalogue GTINs are not
/// looked up.
pub(super) fn tags(
    file: &str,
    text: &str,
    catalog: Option<&BTreeMap<Gtin, Product>>,
) -> (Option<BTreeMap<Epc, Gtin>>, Vec<Problem>) {
    let mut table = Table::new(file, text, &["epc", "gtin"], 2);
    let mut tags = BTreeMap::new();
    let mut lines: BTreeMap<Epc, u64> = BTreeMap::new();
    if table.places.iter().any(Option::is_none) {
        return (None, table.problems);
    }
    for (line, row) in std::mem::take(&mut table.rows) {
        table.ragged = row.len() != table.width;
        let (epc, gtin) = (table.cell(&row, 0), table.cell(&row, 1));
        let epc = table.parse(line, 0, epc.parse::<Epc>().map_err(|e| e.to_string()));
        let gtin = gtin.parse::<Gtin>().map_err(|e| e.to_string());
        let gtin = table.parse(
            line,
            1,
            gtin.and_then(|gtin| match catalog {
                Some(catalog) if !catalog.contains_key(&gtin) => {
                    Err(format!("{gtin} is not in the catalogue"))
                }
                _ => Ok(gtin),
            }),
        );
        let first = epc.and_then(|epc| Some((epc, lines.insert(epc, line)?)));
        if let Some((epc, first)) = first {
            table.refuse(line, format!("`epc`: {epc} stands in line {first} already"));
        }
        if let (Some(epc), Some(gtin)) = (epc, gtin) {
            tags.insert(epc, gtin);
        }
    }
    (Some(tags), table.problems)
}

fn found(cell: &str) -> String {
    format!("found \"{}\"", cell.chars().take(40).collect::<String>())
}

fn parse_name(cell: &str) -> Result<String, String> {
    if cell.is_empty() {
        return Err("found nothing; expected the product's name".to_owned());
    }
    Ok(cell.to_owned())
}

/// A decimal such as `6.50`, exactly, in the currency's smallest unit.
fn parse_price(cell: &str, currency: Option<&Currency>) -> Result<u64, String> {
    let (whole, part) = cell.split_once('.').unwrap_or((cell, ""));
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    let ends = cell.ends_with('.') || whole.is_empty() || !digits(whole) || !digits(part);
    let decimals = currency.map_or(4, |currency| usize::from(currency.digits));
    let spelt = format!("{whole}{part:0<decimals$}");
    if !ends && part.len() <= decimals {
        let price = spelt.parse().ok().filter(|price| *price <= HIGHEST_PRICE);
        return price.ok_or_else(|| format!("{}; expected a smaller price", found(cell)));
    }
    let code = currency.map_or("the currency", |currency| &currency.code);
    let wanted = format!("expected a decimal; {code} has {decimals} digits behind the point");
    Err(format!("{}; {wanted}", found(cell)))
}

fn parse_weight(cell: &str) -> Result<Option<f64>, String> {
    if cell.is_empty() {
        return Ok(None);
    }
    let grams = cell.parse::<f64>().ok();
    match grams.filter(|grams| *grams > 0.0 && *grams <= HEAVIEST_G) {
        Some(grams) => Ok(Some(grams)),
        None => Err(format!(
            "{}; expected grams above 0 and at most 1000000, or nothing",
            found(cell)
        )),
    }
}

fn parse_reserve(cell: &str) -> Result<Option<u32>, String> {
    if cell.is_empty() {
        return Ok(None);
    }
    let count = cell.parse().map(Some);
    count.map_err(|_refused| format!("{}; expected a whole number or nothing", found(cell)))
}

fn parse_tagged(cell: &str) -> Result<Option<bool>, String> {
    match cell {
        "" => Ok(None),
        "yes" => Ok(Some(true)),
        "no" => Ok(Some(false)),
        _ => Err(format!("{}; expected yes, no or nothing", found(cell))),
    }
}
