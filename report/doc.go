// Package report turns an analysed run directory into something to read: figures, one
// self-contained report.html, and report.md.
//
// [Write] does all of it. Every number comes from the artefacts: statistics from the
// full_analysis.json that package analysis wrote, cosines between personas from
// centroids.safetensors, texts from raw_completions.json, the rest from manifest.json.
// The report computes none of them again; it rounds, sorts and draws.
//
// # The page
//
// report.html needs no network and no server. Its security policy names its scripts by
// hash and allows no request at all, so that no text of a model, a persona file or a
// folder can run or load anything; html/template and DOM text nodes keep such text from
// being markup in the first place. Every number carries the id of its definition and
// its place in an artefact, a JSON pointer that check-claims takes too.
//
// Completions are in the page as compressed chunks of about 256 KiB of text, with a
// catalogue of who said what where. Filters look at the catalogue only; a search unpacks
// chunk after chunk; the list has only its visible rows in the document.
//
// # What is missing
//
// A directory without an analysis is an error that matches [ErrNoAnalysis]. Everything
// else that is missing or undefined is said in the report, which has what is left:
// undefined numbers are dashes with their reason, figures without data are left out.
package report
