//! The names of the fields for paging, across all services.

/// Objects that hold such fields in place of the envelope; they may be nested.
pub const CONTAINERS: [&str; 12] = [
    "pagination",
    "paging",
    "meta",
    "result_info",
    "page_info",
    "pageInfo",
    "metadata",
    "links",
    "_links",
    "_meta",
    "cursors",
    "page",
];
/// Flags that are true if there is more.
pub const MORE: [&str; 9] = [
    "has_more",
    "hasMore",
    "has_next",
    "hasNext",
    "has_next_page",
    "hasNextPage",
    "more",
    "is_truncated",
    "isTruncated",
];
/// Flags that are true on the last page.
pub const LAST: [&str; 4] = ["is_last", "isLast", "is_last_page", "last"];
/// Links to the next page. `next` may also be its number; no other value shows how to request the
/// page.
pub const LINKS: [&str; 8] = [
    // OpenRouter (in `links`), Replicate, Django's; Microsoft's; Laravel's.
    "next",
    "next_url",
    "nextUrl",
    "next_link",
    "nextLink",
    "@odata.nextLink",
    "next_page_url",
    "next_page",
];
/// Cursors, and the parameter that takes each.
pub const CURSORS: [(&str, &str); 16] = [
    // Together (`/v2/supported-models`); Cohere; Google, Fireworks (its account API); Bedrock.
    ("next_cursor", "after"),
    ("next_page_token", "page_token"),
    ("nextPageToken", "pageToken"),
    ("nextToken", "nextToken"),
    ("next_token", "next_token"),
    ("nextCursor", "cursor"),
    ("next_page_cursor", "cursor"),
    ("end_cursor", "after"),
    ("endCursor", "after"),
    ("next_after", "after"),
    ("next_after_id", "after_id"),
    ("continuation_token", "continuation_token"),
    ("continuationToken", "continuationToken"),
    ("next_offset", "offset"),
    ("nextOffset", "offset"),
    ("next_start", "start"),
];
/// Cursors that may be the request's own: they count only beside a flag for more pages.
pub const BARE_CURSORS: [(&str, &str); 2] = [("cursor", "cursor"), ("after", "after")];
/// This page's number.
pub const NUMBERS: [&str; 8] = [
    "page",
    "current_page",
    "currentPage",
    "page_number",
    "pageNumber",
    "page_no",
    "pageNo",
    "number",
];
/// The next page's number.
pub const NEXT_NUMBERS: [&str; 3] = ["next_page", "nextPage", "next_page_number"];
/// The last page's number, or how many pages there are.
pub const LAST_NUMBERS: [&str; 9] = [
    "total_pages",
    "totalPages",
    // GPUStack.
    "totalPage",
    "pages",
    "last_page",
    "lastPage",
    "page_count",
    "pageCount",
    "num_pages",
];
/// The number of entries in all. `count` is often the page's: it counts only if larger.
pub const TOTALS: [&str; 12] = [
    "total",
    "total_count",
    "totalCount",
    "count",
    "total_results",
    "totalResults",
    "total_items",
    "totalItems",
    "total_elements",
    "totalElements",
    "total_models",
    "total_entries",
];
/// Where this page begins; the parameter has the same name.
pub const OFFSETS: [&str; 3] = ["offset", "skip", "start"];
/// The page size beside offsets.
pub const LIMITS: [&str; 2] = ["limit", "max_results"];
/// The page size beside numbers.
pub const SIZES: [&str; 5] = ["per_page", "perPage", "page_size", "pageSize", "size"];
