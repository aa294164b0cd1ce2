//! As much XML as the LLRP Toolkit writes.

/// An element: its children, or its text.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) attributes: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Self>,
}

/// The root of a document without CDATA.
pub(crate) fn read(text: &str) -> Node {
    let mut open = vec![Node::default()];
    for piece in text.split('<').skip(1) {
        let (tag, after) = piece.split_once('>').unwrap();
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if tag.starts_with('/') {
            let done = open.pop().unwrap();
            open.last_mut().unwrap().children.push(done);
            continue;
        }
        let inner = tag.trim_end_matches('/');
        let (name, attributes) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
        let node = Node {
            name: name.to_owned(),
            attributes: attributes.to_owned(),
            text: after.trim().to_owned(),
            children: Vec::new(),
        };
        match tag.ends_with('/') {
            true => open.last_mut().unwrap().children.push(node),
            false => open.push(node),
        }
    }
    let mut document = open.pop().unwrap();
    document.children.pop().unwrap()
}

impl Node {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let mark = format!("{name}='");
        let (_, rest) = self.attributes.split_once(&mark)?;
        rest.split('\'').next()
    }
}
