// Quickstart runs the blocks of docs/quickstart-go.md as they stand there, one after another, in an empty folder: go blocks are files, sh blocks are run, those
// of a terminal stay until the end, and what a sh block prints must be what the text block behind it says. Ports are exchanged for free
// ones, and the driver is that of the tests.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: quickstart PAGE DRIVER@VERSION")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// block is one of the page: what its fence says, and what is in it.
type block struct{ kind, argument, port, text string }

func run(page, driver string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	place, err := os.MkdirTemp("", "quickstart")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(place) }()
	s := &session{place: place, driver: driver, ports: map[string]string{}}
	defer s.end()
	for _, port := range []string{"7200", "7302"} {
		if s.ports[port], err = freePort(); err != nil {
			return err
		}
	}
	said := ""
	ran := 0
	for _, b := range blocksOf(string(text)) {
		b.text = s.withPorts(b.text)
		fmt.Printf("== %s %s\n%s", b.kind, b.argument, b.text)
		ran++
		switch {
		case b.kind == "go":
			err = s.file(b)
		case b.kind == "text":
			if said != b.text {
				err = fmt.Errorf("it says otherwise:\n%s", said)
			}
		case b.argument == "terminal":
			err = s.terminal(b)
		default:
			said, err = s.command(b)
		}
		if err != nil {
			return err
		}
	}
	if ran < 10 {
		return fmt.Errorf("the page has %d blocks", ran)
	}
	return nil
}

func blocksOf(page string) []block {
	var blocks []block
	for i, part := range strings.Split("\n"+page, "\n```") {
		if i%2 == 0 {
			continue
		}
		fence, text, _ := strings.Cut(part, "\n")
		words := append(strings.Fields(fence), "", "", "")
		blocks = append(blocks, block{words[0], words[1], words[2], text + "\n"})
	}
	return blocks
}

type session struct {
	place string
	// driver is got in the version that was tested, whatever is the newest.
	driver    string
	ports     map[string]string
	processes []*exec.Cmd
}

func (s *session) withPorts(text string) string {
	if name, _, _ := strings.Cut(s.driver, "@"); strings.HasPrefix(text, "go mod init") {
		text = strings.ReplaceAll(text, name, s.driver)
	}
	text = strings.ReplaceAll(text, "tercet dev", "tercet dev --listen 127.0.0.1:7200")
	for port, free := range s.ports {
		text = strings.ReplaceAll(text, ":"+port, ":"+free)
	}
	return text
}

func (s *session) file(b block) error {
	path := filepath.Join(s.place, b.argument)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.text), 0o644)
}

func (s *session) shell(text string) *exec.Cmd {
	command := exec.Command("bash", "-euo", "pipefail", "-c", text)
	command.Dir = s.place
	command.Stderr = os.Stderr
	return command
}

func (s *session) command(b block) (string, error) {
	var out bytes.Buffer
	command := s.shell(b.text)
	command.Stdout = &out
	err := command.Run()
	fmt.Print(out.String())
	return out.String(), err
}

// terminal starts what goes on, and waits until it answers at its port.
func (s *session) terminal(b block) error {
	command := s.shell(b.text)
	command.Stdout = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return err
	}
	s.processes = append(s.processes, command)
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.ports[b.port])
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-ended:
			return fmt.Errorf("it has ended: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *session) end() {
	for _, process := range s.processes {
		_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL)
	}
}

func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}
