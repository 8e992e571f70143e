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
rm -r t
