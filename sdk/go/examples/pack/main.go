// Pack makes of the library what a module proxy serves: {DIR}/tercet.dev/tercet-go/@v/{VERSION}.zip, .mod and .info, and the list of them. With
// GOPROXY=file://{DIR} the go command installs from there. The same files give the same bytes.
package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const module = "tercet.dev/tercet-go"

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: pack LIBRARY LICENSE VERSION DIR")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(library, license, version, dir string) error {
	at := filepath.Join(dir, module, "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(library, "go.mod"))
	if err != nil {
		return err
	}
	zipped, err := zipOf(library, license, module+"@"+version+"/")
	if err != nil {
		return err
	}
	info := fmt.Sprintf(`{"Version":%q,"Time":"2026-01-01T00:00:00Z"}`, version)
	for name, content := range map[string][]byte{
		version + ".zip": zipped, version + ".mod": mod, version + ".info": []byte(info), "list": []byte(version + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(at, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// zipOf has what a user needs: the sources without their tests, which read files beside the library.
func zipOf(library, license, prefix string) ([]byte, error) {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	add := func(name, path string) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := archive.Create(prefix + name)
		if err != nil {
			return err
		}
		_, err = file.Write(content)
		return err
	}
	if err := add("LICENSE", license); err != nil {
		return nil, err
	}
	err := filepath.WalkDir(library, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(library, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); name != "." && err == nil {
				// A module of its own.
				return fs.SkipDir
			}
			return nil
		}
		isSource := strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
		if isSource || name == "go.mod" || name == "README.md" {
			return add(filepath.ToSlash(name), path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
