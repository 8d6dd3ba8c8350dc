package report

// definition says what a kind of number is.
type definition struct {
	ID, Term string
	Text     string
	Source   string // literature, or the package that computes it
}

// definitions explain every number of the report, in the order of the glossary.
var definitions = []definition{
	{"rate", "leakage rate", "Completions in which the marker occurs, in upper or lower case, out of all completions of a persona under one source, over all of its adapters and sampling seeds together.", "experiment.Rate"},
	{"counts", "counts", "What was counted: completions with the marker, or all completions, personas, questions or shards.", "experiment"},
	{"wilson", "Wilson interval", "Score interval of a rate. It takes completions as independent; they share questions, so it is too narrow.", "Wilson 1927"},
	{"question-ci", "interval over questions", "Bootstrap (BCa) interval of a rate that resamples the questions and, within each, its completions: it says how the rate would move with other questions of the kind.", "Efron 1987; stats.Bootstrap.NestedMean"},
	{"mean", "mean leakage", "Mean of the leakage rates of a group's bystander personas, each persona counting alike.", "analysis.RateSummary"},
	{"spread", "median, minimum, maximum", "Of the leakage rates of a group's bystander personas.", "analysis.RateSummary"},
	{"persona-ci", "interval over personas", "Bootstrap (BCa) interval of a mean that resamples personas: the persona is the unit, its completions are not.", "Efron 1987"},
	{"crossed-ci", "interval over personas and questions", "Bootstrap (BCa) interval that resamples personas and questions, each independently, because all personas are asked the same questions.", "Owen 2007, pigeonhole bootstrap"},
	{"cosine", "cosine", "Cosine of the centred centroids of a persona and its source in the base model, without adapter. A centroid is the mean over the questions of the hidden state of the last prompt token at the output of one decoder layer; centring takes off the mean over all personas.", "hidden.Centroids"},
	{"layer", "decoder layer", "The output of the decoder block with this 0-based index: layer 15 is hidden_states[16] in transformers and l_out-15 in llama.cpp.", "hidden"},
	{"rho", "Spearman's ρ", "Pearson correlation of the ranks of cosine and leakage, with mid-ranks for ties. Over all sources it mixes differences between sources with those within them.", "Spearman 1904; stats.Spearman"},
	{"p", "p-value", "Two-sided; for correlations from Student's t with n − 2 degrees of freedom (tau: exact or normal). It takes personas as independent. At a correlation of exactly 1 or −1 it is 0 however few they are: take the permutation p there.", "stats"},
	{"p-holm", "p, Holm", "p-value adjusted for its family of tests (the layers, the sources, or the categories) by Holm's step-down method.", "Holm 1979"},
	{"permutation-p", "permutation p", "Share of random pairings of cosines and rates with a correlation at least as far from zero; exact for nine personas or fewer.", "stats.Permutation"},
	{"bonett-wright", "Bonett-Wright interval", "Interval of Spearman's ρ from Fisher's z with the variance (1 + ρ²/2)/(n − 3). It takes personas as independent.", "Bonett and Wright 2000"},
	{"cluster-ci", "interval over clusters", "Bootstrap (BCa) interval of ρ that resamples whole groups (cells of source and category over all sources; categories within a source; sources within a category), because personas of one group are alike. With fewer than about 20 groups it is too narrow.", "Cameron, Gelbach and Miller 2008"},
	{"pearson", "Pearson's r", "Product-moment correlation, for comparison.", "stats.Pearson"},
	{"tau", "Kendall's τ-b", "Rank correlation by concordant pairs, corrected for ties, for comparison.", "Kendall 1945"},
	{"partial", "partial Spearman", "Correlation of the residuals of rank(cosine) and rank(leakage) after regressing each on the ranks of the covariates; p from Student's t with n − 2 − k degrees of freedom.", "stats.PartialSpearman"},
	{"covariate", "surface covariate", "chars, words: length of the persona's prompt in code points and in pieces between white space; tokens: in the base model's tokens; jaccard: overlap of its lower-cased words with those of the source's prompt; semantic: cosine of the two prompts' mean-pooled embeddings.", "analysis"},
	{"fit", "linear fit", "Ordinary least squares of leakage on cosine over all bystanders; Theil-Sen is the median of the slopes between all pairs.", "Theil 1950, Sen 1968"},
	{"leave-out", "leave one out", "Spearman's ρ without the personas of one source or category: does one group carry the result?", "analysis"},
	{"layer-test", "difference of layers", "Difference of two dependent correlations, the same leakage with the cosines of two layers; test of Meng, Rosenthal and Rubin 1992, interval of Zou 2007, both on ranks.", "stats.CompareSpearman"},
	{"icc", "ICC", "How far repeated measurements agree on the rates of a source's personas. ICC(3,1): consistency; ICC(2,1): absolute agreement; ICC(3,k): of their mean. Sampling seeds repeat the sampling; where a source has several adapters, the report says what was compared.", "Shrout and Fleiss 1979, McGraw and Wong 1996"},
	{"kruskal-wallis", "Kruskal-Wallis H", "Do the categories of a source have the same distribution of leakage? One rate per persona, corrected for ties; p from chi-squared.", "Kruskal and Wallis 1952"},
	{"epsilon", "ε²", "Effect size of the Kruskal-Wallis test, H(n + 1)/(n² − 1): 1 if the categories explain the ranks entirely. It is not 0 without a difference: its mean is then (k − 1)/(n − 1) for k categories and n personas, 0.18 for 8 categories of 5.", "Tomczak and Tomczak 2014"},
	{"kendall-w", "Kendall's W", "Do the sources order the categories alike? 1: the same order everywhere. If m sources order at random, its mean is 1/m. Corrected for ties; p from chi-squared.", "Kendall and Babington Smith 1939"},
	{"anchor", "anchor", "A source's adapters asked as a source, their own or another one: how well they learned the marker, and how it leaks between sources.", "experiment"},
	{"drift", "anchor drift", "Distance of an anchor's rate from a reference rate that the analysis was given.", "analysis.AnchorRate"},
	{"effect", "effect of an adapter", "Kullback-Leibler divergence KL(adapter || base) of the next token, along the last tokens of some prompts, over the whole vocabulary at temperature 1, in nats: 0 where the adapter changes nothing, from 1e-6 an effect.", "experiment.AdapterEffect"},
	{"compute", "compute", "What the completions cost, over all finished shards: wall time of the sampling over all attempts, that times the number of GPUs, new tokens, and completions that reached the limit of new tokens.", "analysis.Compute"},
	{"ocean", "Big Five", "Do scores on the five traits, or the distance to the source in them, predict the rank of leakage beyond cosine? Nested rank regressions, and the same validated on sources or folds left out.", "analysis.Ocean"},
}
