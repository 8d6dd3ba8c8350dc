package track

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// standIn answers as a server of Weights & Biases does, as far as `wandb sync` asks,
// and keeps what it was sent.
type standIn struct {
	*httptest.Server
	mu      sync.Mutex
	name    string   // of the run
	project string   //
	files   []string // uploaded
	stream  string   // history and summary
}

func newStandIn(t *testing.T) *standIn {
	s := &standIn{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	data := map[string]any{}
	switch {
	case r.Method == http.MethodPut:
		s.files = append(s.files, strings.TrimPrefix(r.URL.Path, "/upload/"))
	case strings.HasSuffix(r.URL.Path, "file_stream"):
		s.stream += string(body)
	default:
		data = s.answer(body)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

// answer is that to a GraphQL query.
func (s *standIn) answer(body []byte) map[string]any {
	var request struct {
		Query     string
		Variables struct {
			Name, Project, DisplayName string
			Files                      []string
		}
	}
	_ = json.Unmarshal(body, &request)
	v := request.Variables
	switch {
	case strings.Contains(request.Query, "upsertBucket"):
		if v.DisplayName != "" {
			s.name, s.project = v.DisplayName, v.Project
		}
		project := map[string]any{"id": "p", "name": v.Project, "entity": map[string]any{"id": "e", "name": "me"}}
		return map[string]any{"upsertBucket": map[string]any{"inserted": true, "bucket": map[string]any{
			"id": "b", "name": v.Name, "displayName": "d", "config": "{}", "summaryMetrics": "{}", "historyLineCount": 0, "project": project,
		}}}
	case strings.Contains(request.Query, "createRunFiles"):
		var files []map[string]any
		for _, name := range v.Files {
			files = append(files, map[string]any{"name": name, "uploadUrl": s.URL + "/upload/" + name})
		}
		return map[string]any{"createRunFiles": map[string]any{"runID": "b", "uploadHeaders": []string{}, "files": files}}
	}
	return map[string]any{"viewer": map[string]any{"id": "v", "entity": "me", "username": "me", "flags": "{}"}}
}

// TestSync lets `wandb sync` itself take a run, to a server on this machine.
func TestSync(t *testing.T) {
	python := pythonWithWandb(t)
	if out, _ := exec.Command(python, "-c", "import wandb; print(wandb.__version__)").Output(); strings.HasPrefix(string(out), "0.1") {
		t.Skip("needs wandb 0.20 or later for this server, found " + strings.TrimSpace(string(out)))
	}
	run, server := write(t), newStandIn(t)
	cmd := exec.Command(python, "-m", "wandb", "sync", run.Dir)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "WANDB_BASE_URL="+server.URL, "WANDB_API_KEY="+strings.Repeat("0", 40), "WANDB_ENTITY=me",
		"WANDB_ERROR_REPORTING=false", "HOME="+cmd.Dir)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if server.name != run.Name || server.project != DefaultProject {
		t.Errorf("run %q of project %q", server.name, server.project)
	}
	for _, want := range []string{"manifest.json", "villain_seed42/summary.json", "villain_seed42/raw_completions.json", "config.yaml", "wandb-summary.json"} {
		if !slices.Contains(server.files, want) {
			t.Errorf("%s was not uploaded; %v were", want, server.files)
		}
	}
	if !slices.ContainsFunc(server.files, func(name string) bool { return strings.HasPrefix(name, filepath.ToSlash("media/table/marker_eval")) }) {
		t.Errorf("no table was uploaded: %v", server.files)
	}
	for _, want := range []string{"mean_bystander", "gpu_hours", "wandb-history.jsonl", "wandb-summary.json"} {
		if !strings.Contains(server.stream, want) {
			t.Errorf("the stream has no %s", want)
		}
	}
}
