mkdir -p t/dir t/empty
echo one > t/one
echo two > t/dir/two
chmod 600 t/one
chmod 4755 t/dir/two
chmod 1777 t/empty
ln t/one t/hard
ln -s one t/soft
ln -s /absolute t/dir/absolute
pack="tar --format=ustar --sort=name --numeric-owner --owner=7 --group=8 --mtime=@0 -C t"
$pack -cf plain.tar .

$pack -czf gz.tar.gz .
$pack -cJf xz.tar.xz .
# A file `in` of 7:8, packed by programs that are not everywhere.
base64 -d > bz2.tar.bz2 <<EOF
QlpoOTFBWSZTWZYF+FEAAHd7kPmQAADAAG+EAAFgIR4ABAAACCAAVEao9EMQ9Q2hPU9QbUSMjRo0
AB9PlowEJX2gIWnTVjKtHkhCZE3T51cIMgLmFyBp3XhU15rIw1nYmd32ABF+LuSKcKEhLAvwog==
EOF
base64 -d > zst.tar.zst <<EOF
KLUv/WQAJwUCAOJCCRDApwO0KgNV7pe0Kzh66ZwMBYn3awo6qT30atz31l3cNSP/TQwLILAP+YUn
EoUChksJ/fTZQ4Waex2f0BAhgChp
EOF
cp gz.tar.gz named-otherwise
echo text > no-archive.tar.gz
echo words | gzip -n > words.gz
tar -cf empty.tar -T /dev/null
rm -r t
