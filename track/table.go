package track

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"personaprobe/experiment"
)

// table is a wandb.Table: a JSON file among the run's media, and a reference to it in
// the summary.
type table struct {
	file          runFile
	rows, columns int
}

// personaTable has one row per persona.
func personaTable(s experiment.ShardResult) (table, error) {
	columns := []string{"persona_id", "source", "category", "prompt", "found", "total", "rate"}
	rows := [][]any{}
	for id, e := range s.Evals.All() {
		rows = append(rows, []any{id, e.Source, e.Category, e.Prompt, e.Found, e.Total, e.Rate})
	}
	data, err := json.Marshal(map[string]any{"columns": columns, "data": rows})
	if err != nil {
		return table{}, err
	}
	sum := sha256.Sum256(data)
	name := "media/table/marker_eval_0_" + hex.EncodeToString(sum[:])[:20] + ".table.json"
	return table{runFile{name, kindMedia, data}, len(rows), len(columns)}, nil
}

func (t table) reference() map[string]any {
	sum := sha256.Sum256(t.file.data)
	return map[string]any{
		"_type": "table-file", "path": t.file.name, "sha256": hex.EncodeToString(sum[:]), "size": len(t.file.data),
		"nrows": t.rows, "ncols": t.columns,
	}
}
