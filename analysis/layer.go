package analysis

// Layer is what one layer's cosines say about leakage. A layer is named by its 0-based
// decoder block, whose output was read.
type Layer struct {
	Layer              int                             `json:"layer"`
	Aggregate          Association                     `json:"aggregate"`              // family of its p: the layers
	PerSource          Ordered[Association]            `json:"per_source"`             // family: the sources
	PerCategory        Ordered[Association]            `json:"per_category"`           // family: the categories
	WithoutCategory    Ordered[Correlation]            `json:"leave_one_category_out"` // Spearman over the other categories
	WithoutSource      Ordered[Correlation]            `json:"leave_one_source_out"`   // Spearman over the other sources
	Fit                LinearFit                       `json:"linear_fit"`             // leakage on cosine, all bystanders
	CosineByCategory   Ordered[KruskalWallis]          `json:"kruskal_wallis_cosine"`  // by source: do categories differ in cosine
	CovariatesVsCosine Ordered[Correlation]            `json:"covariates_vs_cosine"`   // Spearman
	Categories         Ordered[Ordered[CosineSummary]] `json:"cosine_cells"`           // source, category
}

// CosineSummary describes the cosines of a cell.
type CosineSummary struct {
	N      int      `json:"n"`
	Mean   *float64 `json:"mean"`
	StdPop *float64 `json:"std_pop"`
	Min    *float64 `json:"min"`
	Max    *float64 `json:"max"`
}

// Association is how cosine and leakage go together in one group of bystanders.
type Association struct {
	Spearman    Spearman             `json:"spearman"`
	Pearson     Pearson              `json:"pearson"`
	KendallTau  Correlation          `json:"kendall_tau_b"`
	Partial     Ordered[Correlation] `json:"partial_spearman"` // covariates held fixed, their names joined by "+"
	MeanCosine  *float64             `json:"mean_cosine"`
	MeanLeakage *float64             `json:"mean_leakage"`
}

// Correlation is a coefficient with its two-sided test against zero.
type Correlation struct {
	Coefficient *float64 `json:"rho"`
	P           *float64 `json:"p_value"` // from Student's t (tau: exact, or normal)
	N           int      `json:"n"`       // personas
	DF          int      `json:"df,omitempty"`
	Reason      string   `json:"reason,omitempty"` // why rho is null
}

// Spearman is the rank correlation of cosine and leakage with all its uncertainty.
type Spearman struct {
	Correlation
	Adjusted
	PermutationP     *float64 `json:"permutation_p"` // exact for 9 personas or fewer
	BonettWright     Interval `json:"bonett_wright_ci"`
	FisherZ          Interval `json:"fisher_z_ci"`          // for comparison: too narrow for ranks
	Bootstrap        Interval `json:"bootstrap_ci"`         // personas resampled (BCa)
	ClusterBootstrap Interval `json:"cluster_bootstrap_ci"` // clusters resampled whole (BCa)
	Clusters         int      `json:"n_clusters"`           // with fewer than about 20 that interval is too narrow
	ClusteredBy      string   `json:"clustered_by"`         // "source and category", "category" or "source"
	Crossed          Interval `json:"crossed_ci"`           // personas and questions resampled (BCa)
}

// Pearson is the product-moment correlation, for comparison.
type Pearson struct {
	Correlation
	FisherZ Interval `json:"fisher_z_ci"`
}

// Adjusted are p-values adjusted for the size of their family, which is the number of
// its tests that have a p-value.
type Adjusted struct {
	Bonferroni *float64 `json:"p_bonferroni"` // min(1, m p)
	Holm       *float64 `json:"p_holm"`       // step-down
	BH         *float64 `json:"p_bh"`         // Benjamini and Hochberg, step-up
	Family     int      `json:"family_size"`  // m
}

// LinearFit is a line of leakage (a rate) on cosine.
type LinearFit struct {
	N         int      `json:"n"`
	Slope     *float64 `json:"slope"` // rate per unit of cosine
	Intercept *float64 `json:"intercept"`
	R2        *float64 `json:"r2"`
	SlopeSE   *float64 `json:"slope_se"`
	SlopeCI   Interval `json:"slope_ci"` // Student's t, equal variances
	TheilSen  TheilSen `json:"theil_sen"`
	Reason    string   `json:"reason,omitempty"`
}

// TheilSen is the robust line: the median of the slopes between all pairs.
type TheilSen struct {
	Slope     *float64 `json:"slope"`
	Intercept *float64 `json:"intercept"`
	SlopeCI   Interval `json:"slope_ci"` // Sen 1968
	Reason    string   `json:"reason,omitempty"`
}

// LayerComparison is the difference of two dependent correlations: the same leakage
// with the cosines of two layers, over the bystanders that have both.
type LayerComparison struct {
	First      string   `json:"first"` // key in Full.Layers
	Second     string   `json:"second"`
	N          int      `json:"n"`
	RhoFirst   *float64 `json:"rho_first"`
	RhoSecond  *float64 `json:"rho_second"`
	Between    *float64 `json:"rho_between"` // of the two layers' cosines
	Difference *float64 `json:"difference"`  // first - second
	P          *float64 `json:"p_value"`     // Meng, Rosenthal and Rubin 1992, on ranks
	Adjusted
	CI        Interval `json:"ci"`           // Zou 2007, on ranks
	Bootstrap Interval `json:"bootstrap_ci"` // personas resampled (BCa)
	Reason    string   `json:"reason,omitempty"`
}
