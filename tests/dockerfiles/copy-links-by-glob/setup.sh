ln -s a.txt link-a
ln -s dir link-dir
ln -s ../a.txt dir/l1
ln -s x.txt dir/l2
