mkdir t
echo in > t/in
tar --format=ustar --numeric-owner --owner=7 --group=8 --mtime=@0 -C t -cf plain.tar in
rm -r t
