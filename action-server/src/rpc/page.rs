//! Pages of a list: AIP-158. The token names the last item of the page before, so that a list
//! that changes in between repeats and skips nothing that stays.

use prost::Message;
use tonic::Status;

/// The most that a page holds. Clients take messages of 4 MiB by default.
pub(super) struct PageLimit {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

/// For lists that grow with the site.
pub(super) const LIST: PageLimit = PageLimit {
    items: 1000,
    bytes: 1 << 20,
};
/// For the jobs of one run: as many as a message takes, for clients that know no pages of them.
pub(super) const JOBS: PageLimit = PageLimit {
    items: usize::MAX,
    bytes: 3 << 20,
};

/// One page of `items`, which are known by `name` and shown as `show` makes them, and the token of
/// the next page.
pub(super) fn page<T, M: Message>(
    items: &[T],
    name: impl Fn(&T) -> &str,
    show: impl Fn(&T) -> M,
    size: i32,
    token: &str,
    most: &PageLimit,
) -> Result<(Vec<M>, String), Status> {
    let size = page_size(size, most.items)?;
    let start = match token {
        "" => 0,
        last => {
            let at = items.iter().position(|item| name(item) == last);
            1 + at.ok_or_else(|| {
                let text = "page_token is not of this list, or what it names is gone; begin again";
                Status::invalid_argument(text)
            })?
        }
    };
    let mut page = Vec::new();
    let mut bytes = 0;
    for item in &items[start..] {
        let shown = show(item);
        bytes += shown.encoded_len();
        if page.len() == size || (bytes > most.bytes && !page.is_empty()) {
            let last = items
                .get(start + page.len() - 1)
                .map(&name)
                .unwrap_or_default();
            return Ok((page, last.to_owned()));
        }
        page.push(shown);
    }
    Ok((page, String::new()))
}

/// The size of a page: what is asked for, at most `greatest`, which 0 asks for.
pub(super) fn page_size(asked: i32, greatest: usize) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Err(_) => Err(Status::invalid_argument("page_size is negative")),
        Ok(0) => Ok(greatest),
        Ok(size) => Ok(size.min(greatest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All pages of a list of names, and how many there were.
    fn pages(all: &[String], size: i32) -> (Vec<String>, usize) {
        let (mut joined, mut token) = (Vec::new(), String::new());
        for count in 1.. {
            let (items, next) = page(all, |item| item, String::clone, size, &token, &LIST).unwrap();
            joined.extend(items);
            token = next;
            if token.is_empty() {
                return (joined, count);
            }
        }
        unreachable!("a list has an end")
    }

    #[test]
    fn pages_join_to_the_list() {
        let all: Vec<String> = (0..2500).map(|at| at.to_string()).collect();
        for (size, count) in [(0, 3), (1, 2500), (7, 358), (1000, 3), (2500, 3)] {
            assert_eq!(pages(&all, size), (all.clone(), count), "{size}");
        }
        let show = |item: &String| item.clone();
        assert!(page(&all, |item| item, show, -1, "", &LIST).is_err());
        assert!(page(&all, |item| item, show, 0, "nobody", &LIST).is_err());
        assert_eq!(pages(&[], 0), (Vec::new(), 1));
    }

    #[test]
    fn a_page_of_large_items_ends_early() {
        let all: Vec<String> = (0..9).map(|at| at.to_string().repeat(400_000)).collect();
        assert_eq!(pages(&all, 0), (all, 5));
    }
}
