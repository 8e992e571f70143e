# An absolute path, dots inside, a path through a link of the archive.
base64 -d > odd.tar.gz <<EOF
H4sIAAAAAAACA+3VQQ6CMBCF4a49hSegA6XteSAaIRJJoNzfgi4MCxMXVCP/t5m2myadvI6u6rHv
pnBW25HIleVSRfyj5vLcz8qX9XzurfPqKCqBaQzVEK9U+xTbf1DYrUxXOst0rb6a/2KVf+clJ/8p
1KR/17r2dt36jiX13r/J/3rtjTHqWJzagfxvKz6xTtJ/az/ov7Nz/y3/f5L869AM/XRpfmb+52LE
Mv9TCMx/AAAAAAAAAACAv3IH2HqDHgAoAAA=
EOF
