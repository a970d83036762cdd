//! Pages of a list: AIP-158. The token names the last item of the page before, so that a list
//! that changes in between repeats and skips nothing that stays.

use tonic::Status;

const GREATEST: usize = 1000;

/// One page of `items`, which are known by `name`, and the token of the next.
pub(super) fn page<T>(
    items: Vec<T>,
    name: impl Fn(&T) -> &str,
    size: i32,
    token: &str,
) -> Result<(Vec<T>, String), Status> {
    let size = page_size(size, GREATEST)?;
    let start = match token {
        "" => 0,
        last => {
            let at = items.iter().position(|item| name(item) == last);
            1 + at.ok_or_else(|| {
                Status::invalid_argument(
                    "page_token is not of this list, or what it names is gone; begin again",
                )
            })?
        }
    };
    let more = items.len() > start + size;
    let page: Vec<T> = items.into_iter().skip(start).take(size).collect();
    let next = page
        .last()
        .filter(|_| more)
        .map(|item| name(item).to_owned())
        .unwrap_or_default();
    Ok((page, next))
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

    #[test]
    fn pages_join_to_the_list() {
        let all: Vec<String> = (0..2500).map(|at| at.to_string()).collect();
        for size in [0, 1, 7, 1000, 5000] {
            let mut joined = Vec::new();
            let mut token = String::new();
            loop {
                let (items, next) = page(all.clone(), |item| item, size, &token).unwrap();
                joined.extend(items);
                token = next;
                if token.is_empty() || joined.len() > 20 && size == 1 {
                    break;
                }
            }
            assert!(size == 1 || joined == all, "{size}");
        }
        assert!(page(all.clone(), |item| item, -1, "").is_err());
        assert!(page(all, |item| item, 0, "nobody").is_err());
    }
}
