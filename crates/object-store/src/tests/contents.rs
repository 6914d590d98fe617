//! Contents: reads, writes anywhere, what others see when, and the bound of what waits.

use std::time::Duration;

use super::*;

async fn size(file: &dyn OpenFile, size: u64) -> Result<u64> {
    file.setattr(&SetAttr { size: Some(size), ..SetAttr::default() }).await.map(|attr| attr.size)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_written_anywhere_and_read_back() {
    for store in both() {
        let data = pattern(1_000_000);
        store.write("/f", &data).await.unwrap();
        assert_eq!(store.stat("/f").await.unwrap().size, 1_000_000);
        assert_eq!(store.read("/f").await.unwrap(), data);
        let file = store.open("/f").await.unwrap();
        let mut piece = [0; 10];
        assert_eq!(file.read_at(&mut piece, 999_995).await, Ok(5));
        assert_eq!(file.read_at(&mut piece, 1_000_000).await, Ok(0));
        assert_eq!(file.read_at(&mut piece, u64::MAX).await, Ok(0));
        file.write_at(b"middle", 500_000).await.unwrap();
        assert_eq!(file.append(b"end").await, Ok((3, 1_000_003)));
        assert_eq!(file.write_at(b"hole", 1_000_010).await, Ok(4));
        assert_eq!(size(&*file, 1_000_012).await, Ok(1_000_012));
        file.flush().await.unwrap();
        let mut expected = data;
        expected[500_000..500_006].copy_from_slice(b"middle");
        expected.extend_from_slice(b"end\0\0\0\0\0\0\0ho");
        assert_eq!(store.read("/f").await.unwrap(), expected);
        assert_eq!(size(&*file, 0).await, Ok(0));
        file.flush().await.unwrap();
        assert_eq!(store.read("/f").await.unwrap(), b"");
        // An open with O_TRUNC, by number.
        store.write("/f", b"abc").await.unwrap();
        let ino = store.ino("/f").await.unwrap();
        store.fs.setattr(ino, &SetAttr { size: Some(5), ..SetAttr::default() }).await.unwrap();
        assert_eq!(store.read("/f").await.unwrap(), b"abc\0\0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_seen_here_at_once_and_elsewhere_after_close() {
    let operator = Operator::new(Memory::default()).unwrap();
    let none = StoreOptions { cache_ttl: Duration::ZERO, ..options() };
    let (here, there) = (over(operator.clone(), PREFIXES, none.clone()), over(operator, PREFIXES, none));
    here.write("/f", b"old").await.unwrap();
    let (writer, reader) = (here.open("/f").await.unwrap(), here.open("/f").await.unwrap());
    writer.write_at(b"newer", 0).await.unwrap();
    assert_eq!(read_all(&*reader).await.unwrap(), b"newer");
    assert_eq!(here.stat("/f").await.unwrap().size, 5);
    assert_eq!(there.read("/f").await.unwrap(), b"old");
    writer.flush().await.unwrap();
    assert_eq!(there.read("/f").await.unwrap(), b"newer");
    // A file that is new is there at once, since only the store can say that it is.
    here.create("/lock").await.unwrap();
    assert_eq!(there.create("/lock").await.unwrap_err(), Errno::EEXIST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_writer_loses_nothing() {
    let operator = Operator::new(Memory::default()).unwrap();
    let store = over(operator.clone(), PREFIXES, options());
    store.create("/f").await.unwrap();
    let file = store.open("/f").await.unwrap();
    file.write_at(b"kept", 0).await.unwrap();
    drop(file);
    store.fs.sync().await.unwrap();
    assert_eq!(operator.read("f").await.unwrap().to_vec(), b"kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_file_stays_removed_whoever_has_it_open() {
    for store in both() {
        store.create("/f").await.unwrap();
        let file = store.open("/f").await.unwrap();
        file.write_at(b"scratch", 0).await.unwrap();
        store.unlink("/f").await.unwrap();
        assert_eq!(read_all(&*file).await.unwrap(), b"scratch");
        file.flush().await.unwrap();
        drop(file);
        store.fs.sync().await.unwrap();
        assert_eq!(store.list("/").await.unwrap(), [""; 0]);
        store.write("/f", b"another").await.unwrap();
        assert_eq!(store.read("/f").await.unwrap(), b"another");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_object_never_mixes_with_the_old_one() {
    let operator = Operator::new(Memory::default()).unwrap();
    let none = StoreOptions { cache_ttl: Duration::ZERO, ..options() };
    let store = over(operator.clone(), PREFIXES, none);
    let old = pattern(1_000_000);
    store.write("/f", &old).await.unwrap();
    let file = store.open("/f").await.unwrap();
    let mut first = vec![0; 1000];
    file.read_at(&mut first, 0).await.unwrap();
    // This store has neither tags nor times: only the size tells.
    let new = vec![7; 999_999];
    operator.write("f", new.clone()).await.unwrap();
    // What was read stays, the rest is gone.
    let mut again = vec![0; 1000];
    file.read_at(&mut again, 0).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(file.read_at(&mut again, 900_000).await, Err(Errno::ESTALE));
    assert_eq!(store.read("/f").await.unwrap(), new);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_others_are_not_overwritten_by_a_part() {
    let operator = Operator::new(Memory::default()).unwrap();
    let store = over(operator.clone(), PREFIXES, options());
    store.write("/f", b"one").await.unwrap();
    let file = store.open("/f").await.unwrap();
    file.append(b" more").await.unwrap();
    operator.write("f", "of others").await.unwrap();
    assert_eq!(file.flush().await, Err(Errno::ESTALE));
    drop(file);
    let mut told = 0;
    while store.fs.sync().await.is_err() {
        told += 1;
    }
    assert!(told <= 1, "told {told} times");
    assert_eq!(operator.read("f").await.unwrap().to_vec(), b"of others");
    assert_eq!(store.read("/f").await.unwrap(), b"of others");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_bounded_and_comes_back() {
    let operator = Operator::new(Memory::default()).unwrap();
    let store = over(operator.clone(), PREFIXES, StoreOptions { staging_bytes: 1 << 20, ..options() });
    store.create("/f").await.unwrap();
    let file = store.open("/f").await.unwrap();
    assert_eq!(file.write_at(&pattern(1 << 20), 0).await, Ok(1 << 20));
    assert_eq!(file.append(b"x").await, Err(Errno::ENOSPC));
    assert_eq!(size(&*file, u64::MAX).await, Err(Errno::ENOSPC));
    file.flush().await.unwrap();
    drop(file);
    store.write("/g", &pattern(1 << 20)).await.unwrap();
    // An object beyond the bound can be read and replaced, not changed in place.
    operator.write("big", pattern((1 << 20) + 1)).await.unwrap();
    assert_eq!(store.read("/big").await.unwrap().len(), (1 << 20) + 1);
    assert_eq!(store.open("/big").await.unwrap().append(b"x").await, Err(Errno::ENOSPC));
    store.write("/big", b"small").await.unwrap();
    assert_eq!(store.read("/big").await.unwrap(), b"small");
}
