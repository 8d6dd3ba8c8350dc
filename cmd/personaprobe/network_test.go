//go:build linux

package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"personaprobe/models"
)

// A whole study, with settings as small as they go, and the other verbs beside it.
const offlineStudy = `
personaprobe doctor
personaprobe plan --write plan.yaml
personaprobe run plan.yaml --sources villain --questions 1 --completions 1 --seeds 42 --max-tokens 8 --quiet --out run
personaprobe run --resume run --quiet
personaprobe personas check run/taxonomy.json || test $? = 3
personaprobe analyze run --resamples 100 --permutations 99 --model tiny
personaprobe report run
personaprobe track --wandb-offline run
personaprobe generate --user Hi --max-tokens 4
personaprobe hidden extract --questions 1 --layers 10 --quiet --out states
personaprobe hidden centroids states --out centroids.safetensors
personaprobe hidden cosine centroids.safetensors --to villain --output table.txt
personaprobe model synth model.gguf --shape tiny --quiet
personaprobe lora synth adapter.gguf --shape tiny
personaprobe model verify model.gguf --quiet
personaprobe lora inspect adapter.gguf --model model.gguf
`

// attempts prints how many packets found no way out of the namespace, by IPv4 and IPv6.
// Nothing has one, so it is the number of attempts to reach anything.
const attempts = `attempts() {
	awk '/^Ip:/ && !column { for (i = 2; i <= NF; i++) if ($i == "OutNoRoutes") column = i; next }
		/^Ip:/ { n += $column } $1 == "Ip6OutNoRoutes" { n += $2 } END { print n + 0 }' /proc/net/snmp /proc/net/snmp6
}
`

// TestNoNetwork runs the verbs in a network namespace of their own, whose only
// interface is a loopback that is down, and sees that none even tries to reach out.
func TestNoNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a small study")
	}
	cache, err := models.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	offline := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
	}
	dir := t.TempDir()
	bash := func(script string) (string, error) {
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", attempts+script)
		cmd.Dir, cmd.SysProcAttr = dir, offline
		cmd.Env = append(os.Environ(), "HOME="+dir, "PERSONAPROBE_CACHE="+cache)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := bash("attempts"); err != nil {
		t.Skipf("no network namespace with counters here: %v %s", err, out)
	}
	// The counter must see an attempt.
	out, err := bash(`(exec 3<>/dev/tcp/127.0.0.1/1) 2>/dev/null || true; test "$(attempts)" -gt 0`)
	if err != nil {
		t.Fatalf("an attempt is not counted: %v %s", err, out)
	}
	if out, err := bash(offlineStudy + `test "$(attempts)" = 0 || { echo "something tried to reach the network"; exit 1; }`); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestNoNetworkCode sees that no package of the program imports one for networks.
// (Package net is linked in all the same: a compressor of a library has a helper for it.)
func TestNoNetworkCode(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", ".").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	own := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if !strings.HasPrefix(words[0], "personaprobe/") {
			continue
		}
		own++
		for _, name := range words[1:] {
			if name == "net" || strings.HasPrefix(name, "net/") && name != "net/url" && name != "net/netip" {
				t.Errorf("%s imports %s", words[0], name)
			}
		}
	}
	if own < 20 {
		t.Errorf("%d packages were looked at", own)
	}
}
