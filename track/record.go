package track

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The records are messages of wandb/proto/wandb_internal.proto, written field by field:
// the few that an offline run needs. Numbers are those of the .proto file, which the
// project never changes.
const (
	recordNum     = 1
	recordHistory = 2
	recordSummary = 3
	recordFiles   = 6
	recordRun     = 17
	recordExit    = 18
	recordHeader  = 21
)

// message is an encoded protocol buffer.
type message []byte

func (m *message) text(field protowire.Number, v string) {
	if v != "" {
		*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), v)
	}
}

func (m *message) number(field protowire.Number, v int64) {
	if v != 0 {
		*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
	}
}

func (m *message) inner(field protowire.Number, v message) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), v)
}

// item is a key with a JSON value: ConfigItem, SummaryItem and HistoryItem are alike.
type item struct {
	key   string
	value any
}

// items encodes them as the repeated field of a message.
func items(field protowire.Number, list []item) (message, error) {
	var out message
	for _, it := range list {
		value, err := json.Marshal(it.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", it.key, err)
		}
		var m message
		m.text(1, it.key)
		m.text(16, string(value))
		out.inner(field, m)
	}
	return out, nil
}

// headerRecord says who wrote the file and what may read it.
func headerRecord(producer string) message {
	var version, out message
	version.text(1, producer)
	version.text(2, "0.40.0") // what wandb itself writes here
	out.inner(1, version)
	return out
}

// runRecord opens the run.
func runRecord(id, project, group, name string, config []item, start time.Time) (message, error) {
	settings, err := items(1, config)
	if err != nil {
		return nil, err
	}
	var stamp, out message
	stamp.number(1, start.Unix())
	out.text(1, id)
	out.text(3, project)
	out.inner(4, settings)
	out.text(6, group)
	out.text(7, "taxonomy")
	out.text(8, name)
	out.inner(17, stamp)
	return out, nil
}

// filesRecord lists the files to upload, relative to the run's files folder.
func filesRecord(files []runFile) message {
	var out message
	for _, f := range files {
		var m message
		m.text(1, f.name)
		m.number(2, 1) // policy: at the end
		m.number(3, int64(f.kind))
		out.inner(1, m)
	}
	return out
}

// exitRecord ends the run with exit code 0 after some seconds.
func exitRecord(seconds int64) message {
	var out message
	out.number(2, seconds)
	return out
}

// historyRecord is one step of the run's curves.
func historyRecord(values []item) (message, error) {
	out, err := items(1, values)
	out.inner(2, nil) // step 0
	return out, err
}
