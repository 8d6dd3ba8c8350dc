// Package analysis computes the numbers of a study from its artefacts: how much the
// marker leaked to whom, whether similarity predicts it, and how sure of that one
// may be.
//
// [Analyze] reads a run directory, or a folder with only a cosine_analysis.json that
// somebody else published, and returns a [Full]; [Full.Write] writes it.
// [ReadClaims] and [CheckClaims] compare published figures with it. It needs no
// model.
//
// # The unit is the persona
//
// One persona is one observation: its k completions with the marker out of n, over
// all seeds. The seeds of one persona are repeated measurements of it, not further
// personas, and treating them as such makes every test too sure of itself. The
// original study did so in its Kruskal-Wallis tests and its bootstrap intervals; those
// variants are here too, to compare with, under names that end in _seed_level.
//
// # Undefined numbers
//
// A number that the data do not determine (no variance, too few personas) is null,
// and the reason stands beside it. What a folder does not have is listed in
// [Full.Missing]; what was found odd in it in [Full.Notes]. Everything else is still
// computed. There is never a NaN.
//
// # Several questions, several answers
//
// A correlation carries up to four intervals, because they answer different
// questions. Bonett-Wright is the formula for independent personas; the bootstrap of
// personas assumes less; the cluster bootstrap resamples whole cells, because
// personas of one source and category are alike; the crossed bootstrap also lets the
// questions vary. p-values within a family (the sources, the categories, the layers)
// come with the adjustments of Bonferroni, Holm, and Benjamini and Hochberg.
//
// Same files and options give the same bytes, whatever the number of processors.
package analysis
