use super::*;

#[test]
fn reshapes_and_transposes_move_nothing_until_they_must() {
    let map = Layout::usual(&[1, 8, 4, 6]);
    assert_eq!(map.shape(), Shape::new(4, 6, 8));
    let halves = map.reshaped(&[1, 2, 4, 4, 6]).unwrap().transposed(&[0, 2, 1, 3, 4]);
    let shuffled = halves.reshaped(&[1, 8, 4, 6]).unwrap();
    assert_eq!((shuffled.shape(), shuffled.plain()), (map.shape(), None));
    let (usual, moved) = shuffled.arranged([&[2], &[3], &[1]]);
    assert_eq!(usual, map);
    assert_eq!(moved, Some(Move { sizes: vec![24, 2, 4], order: vec![0, 2, 1] }));
    assert_eq!(map.arranged([&[2], &[3], &[1]]), (map.clone(), None));
    assert_eq!(map.reshaped(&[1, 192]).unwrap().order_of(1)[..3], [0, 24, 48]);
    assert_eq!(map.reshaped(&[1, 3, 64]), None);
    let flat = map.transposed(&[0, 2, 3, 1]).reshaped(&[1, 192]).unwrap();
    assert_eq!(flat.arranged([&[], &[], &[1]]).1, None);
}

#[test]
fn elements_are_picked_from_parts_of_a_group() {
    let map = Layout::usual(&[1, 4, 2, 3]).reshaped(&[1, 2, 2, 2, 3]).unwrap();
    let (to, [rows, columns, channels]) = map.picked(&[(2, vec![1, -1, 0])], 6).unwrap();
    assert!(map.picked(&[(2, vec![1, -1, 0])], 5).is_none());
    assert_eq!((rows, columns), (None, None));
    assert_eq!(channels, Some(vec![1, -1, 0, 3, -1, 2]));
    assert_eq!((to.dims(), to.shape()), (&[1, 2, 3, 2, 3][..], Shape::new(2, 3, 6)));
    assert_eq!(map.reduced(&[1, 3], false).dims(), [1, 2, 3]);
    assert_eq!(map.reduced(&[1, 3], true).shape(), Shape::new(1, 3, 2));
}
