package experiment

// Summary is what a run comes to, for the end of the terminal.
type Summary struct {
	Dir         string
	Sources     []string // with a finished shard
	Prompts     []string // the taxonomy's sources, whose prompts are the anchors
	Categories  []string
	SourceRates map[string]Rate            // by source: its own anchor under its own adapters
	Bystanders  map[string]Rate            // by source: all its bystanders
	Cells       map[string]map[string]Rate // by source and category
	Anchors     map[string]map[string]Rate // by source of the adapter and source of the prompt
	Personas    map[string]int             // by source: bystanders
	Shards      map[string]int             // by source: finished shards

	Cosines *CosineAnalysis // nil if the plan reads no layers

	Completions     int
	Tokens          int     // new tokens of all completions
	Truncated       int     // completions that reached max_tokens
	Minutes         float64 // wall time of the sampling, over all attempts
	Device          string  // what computed
	GPUHours        float64 // Minutes times the GPUs; 0 on a CPU
	TokensPerSecond float64 // Tokens over that time; 0 if it was too short to tell

	Missing []Shard  // shards that are not finished
	Files   []string // artefacts at the top of Dir
	Folders []string // of the finished shards, inside Dir
}

// Summarise pools the shards of every source. cosines may be nil.
func Summarise(r *Results, cosines *CosineAnalysis) *Summary {
	s := &Summary{
		Dir: r.Dir, Prompts: r.Study.Taxonomy.SourceIDs(), Categories: r.Study.Taxonomy.Categories, Cosines: cosines, Missing: r.Missing,
		Device:      r.Manifest.Identity.Device,
		SourceRates: make(map[string]Rate), Bystanders: make(map[string]Rate),
		Cells: make(map[string]map[string]Rate), Anchors: make(map[string]map[string]Rate),
		Personas: make(map[string]int), Shards: make(map[string]int),
		Files: []string{compiledFile},
	}
	if cosines != nil {
		s.Files = append(s.Files, cosineFile, centroidsFile)
		if cosines.Adapted != nil {
			s.Files = append(s.Files, adaptedFolder+"/")
		}
	}
	for _, source := range r.Study.Sources() {
		counts, shards := r.Counts(source)
		if shards == 0 {
			continue
		}
		s.Sources = append(s.Sources, source)
		s.Shards[source] = shards
		s.addSource(source, r.Study.Taxonomy, counts)
	}
	for _, shard := range r.Shards {
		s.addShard(shard)
		s.Folders = append(s.Folders, shard.Shard.Name())
	}
	if s.Minutes > 0 {
		s.TokensPerSecond = float64(s.Tokens) / (s.Minutes * 60)
	}
	return s
}

func (s *Summary) addSource(source string, t *Taxonomy, counts map[string]Rate) {
	s.Cells[source], s.Anchors[source] = make(map[string]Rate), make(map[string]Rate)
	for _, p := range t.Personas(source) {
		if p.Category == AnchorCategory {
			continue
		}
		s.Personas[source]++
		s.Bystanders[source] = s.Bystanders[source].plus(counts[p.ID])
		s.Cells[source][p.Category] = s.Cells[source][p.Category].plus(counts[p.ID])
	}
	for _, id := range t.SourceIDs() {
		s.Anchors[source][id] = counts[anchorPrefix+id]
	}
	s.SourceRates[source] = s.Anchors[source][source]
}

func (s *Summary) addShard(r ShardResult) {
	for _, e := range r.Evals.All() {
		s.Completions += e.Total
	}
	s.Tokens += r.Summary.NumTokens
	s.Truncated += r.Summary.NumTruncated
	s.Minutes += r.Summary.WallMinutes
	s.GPUHours += r.Summary.GPUHours
}
