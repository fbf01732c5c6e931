package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/clew-security/clew/ingest"
)

// openSource gives what a command is to read, "-" for standard input, and its size where that is known. A file is
// opened when it is first read. What may keep a reader waiting, such as a named pipe, is read until ctx ends.
func openSource(ctx context.Context, stdin io.Reader, name string) (source io.ReadCloser, size int64, err error) {
	if name == "-" {
		return patient(ctx, stdin), 0, nil
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, fmt.Errorf("there is no file %s", name)
	case err != nil:
		return nil, 0, err
	case info.IsDir():
		return nil, 0, fmt.Errorf("%s is a directory: name a file", name)
	case info.Mode().IsRegular():
		return &lazyFile{name: name}, info.Size(), nil
	}
	return patient(ctx, &lazyFile{name: name}), 0, nil
}

// openInputs looks at every file before anything is read, so that a wrong name costs nothing.
func openInputs(ctx context.Context, stdin io.Reader, names []string) (inputs []ingest.Input, total int64, closeAll func(), err error) {
	var opened []io.Closer
	closeAll = func() {
		for _, f := range opened {
			_ = f.Close() // only read
		}
	}
	for _, name := range names {
		source, size, err := openSource(ctx, stdin, name)
		if err != nil {
			return nil, 0, nil, err
		}
		if name == "-" {
			name = "stdin"
		}
		opened, total = append(opened, source), total+size
		in := ingest.Input{Name: name, Reader: source}
		if pipe, waits := source.(*io.PipeReader); waits {
			in.Stop = func() { _ = pipe.Close() }
		}
		inputs = append(inputs, in)
	}
	return inputs, total, closeAll, nil
}

// lazyFile is open from the first read to the end of the file.
type lazyFile struct {
	name  string
	file  *os.File
	ended error
}

// Read opens the file the first time.
func (f *lazyFile) Read(p []byte) (int, error) {
	if f.ended != nil {
		return 0, f.ended
	}
	if f.file == nil {
		if f.file, f.ended = os.Open(f.name); f.ended != nil {
			return 0, f.ended
		}
	}
	n, err := f.file.Read(p)
	if err != nil {
		_ = f.Close()
		f.ended = err
	}
	return n, err
}

// Close ends reading.
func (f *lazyFile) Close() error {
	f.ended = fs.ErrClosed
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// patient reads until ctx ends, whatever the source then waits for.
func patient(ctx context.Context, source io.Reader) io.ReadCloser {
	out, in := io.Pipe()
	go func() {
		_, err := io.Copy(in, source)
		in.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
	return out
}
